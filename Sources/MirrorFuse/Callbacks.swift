import CFuse
import MirrorSystem

// Every operation of the kernel's protocol, and what becomes of it.
//
// Supported: READ and WRITE (answered by the loop, `Operations/Data.swift`; only those of `.mirror`
// come here), and everything set below.
//
// Refused, each by leaving it unset, which libfuse answers with ENOSYS and the kernel remembers:
// - COPY_FILE_RANGE  the kernel then reads and writes, which the shim tracks
// - GETLK, SETLK, FLOCK  the kernel keeps the locks itself, rightly; QEMU's byte-range locks need
//   that
// - BMAP  only for filesystems on a block device
// - TMPFILE, STATX, SYNCFS  libfuse 3.14 does not know them; the kernel does without
// - RETRIEVE, STORE  no cache is kept by us
// - ACCESS  never sent: with default_permissions the kernel decides by the attributes. Answered
//   anyway
// - IOCTL other than XFS_IOC_DIOINFO, with ENOTTY: flags and clones would pass the shim by
// - RENAME_WHITEOUT, with EINVAL: it makes a device file, and `nodev` mounts have none
// - POLL on images: always ready, as a plain file is
//
// Each callback only translates: types of C to ours, and `request` to the session and the reply.

extension Session {
    static var operations: fuse_lowlevel_ops {
        var operations = fuse_lowlevel_ops()
        operations.`init` = { userdata, connection in
            Session.at(userdata).configure(connection!)
        }
        setNodes(&operations)
        setEntries(&operations)
        setFiles(&operations)
        setDirectories(&operations)
        setAttributes(&operations)
        return operations
    }

    private static func setNodes(_ operations: inout fuse_lowlevel_ops) {
        operations.lookup = { request, parent, name in
            Session.of(request).lookUp(Reply(request), parent, name!)
        }
        operations.forget = { request, node, count in
            Session.of(request).forget(node, count)
            Reply(request).nothing()
        }
        operations.forget_multi = { request, count, nodes in
            for index in 0..<count {
                Session.of(request).forget(nodes![index].ino, nodes![index].nlookup)
            }
            Reply(request).nothing()
        }
        operations.getattr = { request, node, _ in
            Session.of(request).getAttributes(Reply(request), node)
        }
        operations.setattr = { request, node, attributes, fields, info in
            Session.of(request).setAttributes(
                Reply(request), node, AttributeChange(attributes!.pointee, fields),
                info?.pointee.fh)
        }
        operations.readlink = { request, node in Session.of(request).readLink(Reply(request), node)
        }
        operations.statfs = { request, node in Session.of(request).statistics(Reply(request), node)
        }
        operations.access = { request, _, _ in Reply(request).done() }
    }

    private static func setEntries(_ operations: inout fuse_lowlevel_ops) {
        operations.mkdir = { request, parent, name, mode in
            Session.of(request).makeDirectory(Reply(request), parent, name!, mode)
        }
        operations.mknod = { request, parent, name, mode, device in
            Session.of(request).makeNode(Reply(request), parent, name!, mode, UInt64(device))
        }
        operations.symlink = { request, target, parent, name in
            Session.of(request).makeSymbolicLink(Reply(request), parent, name!, target!)
        }
        operations.link = { request, node, parent, name in
            Session.of(request).makeLink(Reply(request), node, parent, name!)
        }
        operations.unlink = { request, parent, name in
            Session.of(request).removeFile(Reply(request), parent, name!)
        }
        operations.rmdir = { request, parent, name in
            Session.of(request).removeDirectory(Reply(request), parent, name!)
        }
        operations.rename = { request, parent, name, newParent, newName, flags in
            Session.of(request).rename(
                Reply(request), Entry(parent, name!), Entry(newParent, newName!),
                RenameOptions(rawValue: flags))
        }
    }

    private static func setFiles(_ operations: inout fuse_lowlevel_ops) {
        operations.open = { request, node, info in
            Session.of(request).open(Reply(request), node, OpenFlags(rawValue: info!.pointee.flags))
        }
        operations.create = { request, parent, name, mode, info in
            Session.of(request).create(
                Reply(request), parent, name!, mode, OpenFlags(rawValue: info!.pointee.flags))
        }
        operations.release = { request, node, info in
            Session.of(request).release(Reply(request), node, info!.pointee.fh)
        }
        operations.flush = { request, _, _ in Reply(request).done() }
        operations.fsync = { request, node, dataOnly, info in
            Session.of(request).flush(
                Reply(request), node, info!.pointee.fh, dataOnly: dataOnly != 0)
        }
        operations.fallocate = { request, node, mode, offset, count, info in
            Session.of(request).allocate(
                Reply(request), node, info!.pointee.fh, mode, UInt64(offset), UInt64(count))
        }
        operations.lseek = { request, node, offset, whence, info in
            Session.of(request).seek(Reply(request), node, info!.pointee.fh, Int64(offset), whence)
        }
        operations.ioctl = { request, node, command, _, _, _, _, _, capacity in
            Session.of(request).control(Reply(request), node, command, capacity)
        }
        operations.read = { request, _, size, offset, info in
            Session.of(request).readMirror(Reply(request), info!.pointee.fh, size, UInt64(offset))
        }
        operations.write = { request, _, data, size, _, info in
            Session.of(request).writeMirror(
                Reply(request), info!.pointee.fh, UnsafeRawBufferPointer(start: data, count: size))
        }
        operations.poll = { request, node, info, handle in
            Session.of(request).poll(Reply(request), node, info!.pointee.fh, PollHandle(handle))
        }
    }

    private static func setDirectories(_ operations: inout fuse_lowlevel_ops) {
        operations.opendir = { request, node, _ in
            Session.of(request).openDirectory(Reply(request), node)
        }
        operations.readdir = { request, node, size, offset, info in
            Session.of(request).readDirectory(
                Reply(request), node, info!.pointee.fh, size, Int64(offset), withAttributes: false)
        }
        operations.readdirplus = { request, node, size, offset, info in
            Session.of(request).readDirectory(
                Reply(request), node, info!.pointee.fh, size, Int64(offset), withAttributes: true)
        }
        operations.releasedir = { request, node, info in
            Session.of(request).releaseDirectory(Reply(request), node, info!.pointee.fh)
        }
        operations.fsyncdir = { request, node, dataOnly, info in
            Session.of(request).flushDirectory(
                Reply(request), node, info!.pointee.fh, dataOnly: dataOnly != 0)
        }
    }

    private static func setAttributes(_ operations: inout fuse_lowlevel_ops) {
        operations.setxattr = { request, node, name, value, size, flags in
            Session.of(request).setExtendedAttribute(
                Reply(request), node, name!, UnsafeRawBufferPointer(start: value, count: size),
                flags)
        }
        operations.getxattr = { request, node, name, size in
            Session.of(request).getExtendedAttribute(Reply(request), node, name!, size)
        }
        operations.listxattr = { request, node, size in
            Session.of(request).listExtendedAttributes(Reply(request), node, size)
        }
        operations.removexattr = { request, node, name in
            Session.of(request).removeExtendedAttribute(Reply(request), node, name!)
        }
    }
}
