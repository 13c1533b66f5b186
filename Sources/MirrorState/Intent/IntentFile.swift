import MirrorCore
import MirrorSystem
package import SystemPackage

/// Where the blocks of a write-intent log are kept. A test puts something between.
package protocol IntentStore: Sendable {
    /// Everything there is.
    func content() throws(Errno) -> [UInt8]
    /// Not durable before `synchronize`. Past the end it makes the file longer.
    func write(_ blocks: [UInt8], at offset: UInt64) throws(Errno)
    func synchronize() throws(Errno)
    /// No call follows.
    func close()
    /// It is gone for good when this returns.
    func remove() throws(Errno)
}

/// A file of the state directory.
package struct IntentFile: IntentStore {
    private let descriptor: FileDescriptor
    private let directory: StateDirectory
    private let name: String

    package static let prefix = "intent-"
    package static func name(_ id: String) -> String { "\(prefix)\(id).bin" }

    /// The uuid in a name.
    package static func job(of name: String) -> String {
        String(name.dropFirst(prefix.count).prefix { $0 != "-" })
    }

    /// A new file at its full length, durable when this returns, its name too.
    package static func create(
        _ id: String, in directory: StateDirectory, content: [UInt8]
    ) throws(Errno) -> IntentFile {
        try directory.replace(name(id), with: content)
        return try IntentFile(id, directory)
    }

    /// The one that is there.
    package init(_ id: String, _ directory: StateDirectory) throws(Errno) {
        (name, self.directory) = (Self.name(id), directory)
        descriptor = try FileDescriptor.openBacking(
            directory.path.appending(name), .readWrite, .noFollow)
    }

    package func content() throws(Errno) -> [UInt8] {
        let most = IntentFormat.offset(ofBlock: IntentLog.mostBlocks)
        return try descriptor.readBytes(at: 0, count: Int(min(try descriptor.status().size, most)))
    }

    package func write(_ blocks: [UInt8], at offset: UInt64) throws(Errno) {
        var failure: Errno?
        blocks.withUnsafeBytes { bytes in
            do throws(Errno) { try descriptor.writeFully(bytes, at: offset) } catch {
                failure = error
            }
        }
        if let failure { throw failure }
    }

    package func synchronize() throws(Errno) { try descriptor.synchronize(dataOnly: true) }
    package func close() { try? descriptor.close() }
    package func remove() throws(Errno) { try directory.remove(name) }
}
