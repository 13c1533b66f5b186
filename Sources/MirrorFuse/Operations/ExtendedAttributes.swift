import CFuse
import MirrorEngine
import MirrorSystem
import SystemPackage

// SETXATTR, GETXATTR, LISTXATTR, REMOVEXATTR. The kernel has checked the permissions. Files of `.mirror`
// have none. What switch-overs write on files is theirs alone (`Serving.isMark`).

extension Session {
    func setExtendedAttribute(
        _ reply: consuming Reply, _ node: UInt64, _ name: UnsafePointer<CChar>,
        _ value: UnsafeRawBufferPointer, _ flags: Int32
    ) {
        if MirrorNumber.owns(node) || Serving.isMark(name) { return reply.fail(.notPermitted) }
        do throws(Errno) {
            try nodes.node(node).descriptor.setExtendedAttribute(name, value, flags: flags)
            reply.done()
        } catch {
            reply.fail(error)
        }
    }

    func removeExtendedAttribute(
        _ reply: consuming Reply, _ node: UInt64, _ name: UnsafePointer<CChar>
    ) {
        if MirrorNumber.owns(node) || Serving.isMark(name) { return reply.fail(.notPermitted) }
        do throws(Errno) {
            try nodes.node(node).descriptor.removeExtendedAttribute(name)
            reply.done()
        } catch {
            reply.fail(error)
        }
    }

    func getExtendedAttribute(
        _ reply: consuming Reply, _ node: UInt64, _ name: UnsafePointer<CChar>, _ size: Int
    ) {
        if MirrorNumber.owns(node) || Serving.isMark(name) { return reply.fail(.noData) }
        answerValue(reply, size) { (buffer) throws(Errno) in
            try nodes.node(node).descriptor.extendedAttribute(name, into: buffer)
        }
    }

    func listExtendedAttributes(_ reply: consuming Reply, _ node: UInt64, _ size: Int) {
        if MirrorNumber.owns(node) {
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
        for name in names.split(separator: 0) where !Serving.isMark(name) { shown += name + [0] }
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
