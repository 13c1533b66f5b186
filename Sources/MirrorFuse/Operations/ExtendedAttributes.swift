import CFuse
import MirrorEngine
import MirrorState
import MirrorSystem
import SystemPackage

// SETXATTR, GETXATTR, LISTXATTR, REMOVEXATTR. The kernel has checked the permissions. Files of
// `.mirror` have none. What switch-overs write on files is theirs alone (`ServedImages.isMark`).

extension Session {
    func setExtendedAttribute(
        _ reply: consuming Reply, _ node: UInt64, _ name: UnsafePointer<CChar>,
        _ value: UnsafeRawBufferPointer, _ flags: Int32
    ) {
        if ControlNumber.owns(node) || ServedImages.isMark(name) {
            return reply.fail(.notPermitted)
        }
        do throws(Errno) {
            let descriptor = try nodes.node(node).descriptor
            let before =
                flags & Self.createOnly == 0
                ? nil
                : reply.entry.predecessor {
                    attributeBefore(descriptor, name)
                }
            // A predecessor has created it where it was not there before.
            let isOurs = before != nil && before?.subject == nil
            try descriptor.setExtendedAttribute(
                name, value, flags: isOurs ? flags & ~Self.createOnly : flags)
            reply.done()
        } catch {
            reply.fail(error)
        }
    }

    func removeExtendedAttribute(
        _ reply: consuming Reply, _ node: UInt64, _ name: UnsafePointer<CChar>
    ) {
        if ControlNumber.owns(node) || ServedImages.isMark(name) {
            return reply.fail(.notPermitted)
        }
        do throws(Errno) {
            let descriptor = try nodes.node(node).descriptor
            let before = reply.entry.predecessor { attributeBefore(descriptor, name) }
            do throws(Errno) {
                try descriptor.removeExtendedAttribute(name)
            } catch {
                guard before?.subject != nil, error == .noData else { throw error }
            }
            reply.done()
        } catch {
            reply.fail(error)
        }
    }

    /// XATTR_CREATE.
    private static var createOnly: Int32 { 1 }

    /// Whether the attribute is there: any identity stands for yes.
    private func attributeBefore(
        _ file: FileDescriptor, _ name: UnsafePointer<CChar>
    ) -> JournalEntry.Before {
        let nothing = UnsafeMutableRawBufferPointer(start: nil, count: 0)
        let isThere = (try? file.extendedAttribute(name, into: nothing)) != nil
        return .init(subject: isThere ? FileIdentity(device: 0, inode: 0) : nil)
    }

    func getExtendedAttribute(
        _ reply: consuming Reply, _ node: UInt64, _ name: UnsafePointer<CChar>, _ size: Int
    ) {
        if ControlNumber.owns(node) || ServedImages.isMark(name) { return reply.fail(.noData) }
        answerValue(reply, size) { (buffer) throws(Errno) in
            try nodes.node(node).descriptor.extendedAttribute(name, into: buffer)
        }
    }

    func listExtendedAttributes(_ reply: consuming Reply, _ node: UInt64, _ size: Int) {
        if ControlNumber.owns(node) {
            if size == 0 { return reply.attributeSize(0) }
            reply.bytes(UnsafeRawBufferPointer(start: nil, count: 0))
            return
        }
        answerValue(reply, size) { (buffer) throws(Errno) in
            // The whole list, also where the caller has less room or only asks how long it is.
            let room = RequestThread.current.answer
            let count = try nodes.node(node).descriptor.extendedAttributeNames(into: room)
            let shown = Self.withoutMarks(room[..<count])
            if size != 0, shown.count > size { throw .outOfRange }
            room.copyBytes(from: shown)
            return shown.count
        }
    }

    /// A copy of an image that is made in the mount, attributes and all, is no superseded file.
    private static func withoutMarks(_ names: Slice<UnsafeMutableRawBufferPointer>) -> [UInt8] {
        var shown: [UInt8] = []
        for name in names.split(separator: 0) where !ServedImages.isMark(name) {
            shown += name + [0]
        }
        return shown
    }

    /// With a size of 0 the caller asks how many bytes there are, otherwise for the bytes.
    private func answerValue(
        _ reply: consuming Reply, _ size: Int,
        _ read: (UnsafeMutableRawBufferPointer) throws(Errno) -> Int
    ) {
        let answer = RequestThread.current.answer
        let buffer = UnsafeMutableRawBufferPointer(rebasing: answer.prefix(size))
        do throws(Errno) {
            let count = try read(buffer)
            if size == 0 { return reply.attributeSize(count) }
            reply.bytes(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        } catch {
            reply.fail(error)
        }
    }
}
