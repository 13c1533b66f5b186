import MirrorCore
import MirrorImage
package import MirrorState
import MirrorSystem
import MirrorTarget
import Synchronization
package import SystemPackage

// The write-intent log of a member.

extension Member {
    /// A new log, durable when this returns. All is set unless source and twin begin equal by the
    /// word of the user, or are not meant to be equal.
    package func makeIntents(_ id: String, in directory: StateDirectory, isFull: Bool) throws(Errno)
    {
        intents = try IntentLog.create(id, in: directory, size: knownLength, isFull: isFull)
    }

    /// The log of an earlier life. False where there is none, or none to believe.
    func openIntents(_ id: String, in directory: StateDirectory) -> Bool {
        if VoidLabel.isOn(source, id) { return false }
        intents = IntentLog.open(id, in: directory, size: knownLength)
        foundIntents = intents?.past
        return intents != nil
    }

    /// Whether source or twin say that the log could not be kept.
    func isVoidSomewhere(_ file: TwinFile?) -> Bool {
        guard let id = intents?.id else { return true }
        return VoidLabel.isOn(source, id) || file.map { VoidLabel.isOn($0.descriptor, id) } ?? false
    }

    /// The log intends everything, durably: what was said of it before is over.
    func forgetVoid() {
        guard let intents, !intents.isVoid else { return }
        try? image.voidLabels.withLock { _ throws(Errno) in
            try VoidLabel.remove(intents.id, from: source)
        }
        try? twin.forgetVoid(intents.id)
    }

    /// The job is over: its log goes, and once nobody can believe it, what source and twin say of
    /// it.
    package func dropIntents() {
        guard let intents else { return }
        guard intents.isVoid, let source = try? source.duplicated() else { return intents.remove() }
        try? twin.forgetVoid(intents.id)
        intents.remove { [image] isGone in
            if isGone {
                try? image.voidLabels.withLock { _ throws(Errno) in
                    try VoidLabel.remove(intents.id, from: source)
                }
            }
            try? source.close()
        }
    }

    /// Notes what source and twin are like, and returns it. Asks the target: on the clerk.
    func beat() -> [FileStamp] {
        guard let intents, let source = try? FileStamp(source.status()) else { return [] }
        let twin = twin.stamp
        intents.beat(source, twin)
        return [source] + (twin.map { [$0] } ?? [])
    }

    /// Marks what no guest has written just now. It may lie where nothing is intended.
    func markUnasked(_ range: ByteRange) {
        intents?.touch(range)
        table.markUncounted(range)
        intents?.request(range) {}
    }

    /// Whether the source says durably that the log is void.
    func markVoidSource() -> Bool {
        guard let id = intents?.id else { return false }
        let isMarked: Void? = try? image.voidLabels.withLock { _ throws(Errno) in
            try VoidLabel.add(id, to: source)
        }
        return isMarked != nil
    }

    func markVoidTwin() -> Bool {
        guard let id = intents?.id else { return false }
        return twin.markVoid(id)
    }
}

extension Twin {
    /// Nil where the twin is no file, or cannot be asked.
    package var stamp: FileStamp? { (try? file?.descriptor.status()).map { FileStamp($0) } }

    /// Whether the twin says durably that the log of its job is void.
    package func markVoid(_ id: String) -> Bool {
        guard let file else { return false }
        return (try? VoidLabel.add(id, to: file.descriptor)) != nil
    }

    func forgetVoid(_ id: String) throws(Errno) {
        if let file { try VoidLabel.remove(id, from: file.descriptor) }
    }
}
