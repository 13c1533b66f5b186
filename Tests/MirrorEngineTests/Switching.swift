import Foundation
import MirrorCore
import MirrorSystem
import SystemPackage
import Testing

@testable import MirrorEngine
@testable import MirrorImage
@testable import MirrorJob
@testable import MirrorState
@testable import MirrorTarget

/// A handle as the mount opens one for a guest.
final class TestHandle: Sendable {
    let image: Image
    let path: DataPath
    var descriptor: FileDescriptor { path.buffered }
    let flags: OpenFlags
    let engine: Engine

    init(_ engine: Engine, _ directory: FilePath, _ name: String, _ flags: Int32 = O_RDWR) throws {
        self.engine = engine
        self.flags = OpenFlags(rawValue: flags)
        let node = try FileDescriptor.openNode(at: directory.appending(name))
        defer { try? node.close() }
        let identity = try node.status().identity
        (image, path) = try engine.open(identity, node, at: FilePath(name), self.flags)
    }

    deinit {
        engine.close(image, path, flags)
        try? path.direct?.close()
        try? path.buffered.close()
    }

    var guest: Guest { Guest(image: image, descriptor: descriptor) }
    var content: [UInt8] { descriptor.bytes(at: 0, count: 1 << 20) }
}

extension Bench {
    func open(_ name: String, _ flags: Int32 = O_RDWR, in engine: Engine? = nil) throws
        -> TestHandle
    {
        try TestHandle(engine ?? self.engine, source, name, flags)
    }

    /// Makes a twin of an image as a job does: an equal file, open and locked.
    func twin(_ handle: TestHandle, _ name: String) throws -> Move {
        let path = target.appending(name)
        let file = try FileDescriptor.openBacking(path, .readWrite, .create)
        try file.lockExclusively()
        return try equalized(
            Move(image: handle.image, twin: path, descriptor: file, length: 0), handle)
    }

    /// The image's own file as the twin.
    func home(_ handle: TestHandle, _ name: String) throws -> Move {
        let found = try #require(try engine.home(of: handle.image, named: source.appending(name)))
        let move = Move(
            image: handle.image, twin: found.path, descriptor: found.descriptor, length: 0)
        return try equalized(move, handle)
    }

    private func equalized(_ move: Move, _ handle: TestHandle) throws -> Move {
        let content = handle.content
        try content.withUnsafeBytes { try move.descriptor.writeFully($0, at: 0) }
        try move.descriptor.setSize(UInt64(content.count))
        try move.descriptor.synchronize()
        return Move(
            image: move.image, twin: move.twin, descriptor: move.descriptor,
            length: UInt64(content.count))
    }

    /// Switches as a job does: while it holds all changes of the images.
    func switchOver(_ moves: [Move]) throws {
        defer { for move in moves { try? move.descriptor.close() } }
        try engine.switchOver(moves)
    }

    func bytes(_ path: FilePath) -> [UInt8] { (try? path.content()) ?? [] }

    /// The text of the record file.
    var record: FilePath { state.appending("serving.json") }

    func mark(_ path: FilePath, _ name: String = "superseded") throws -> String? {
        let node = try FileDescriptor.openNode(at: path)
        defer { try? node.close() }
        return try node.nodeAttribute("user.twinfs.\(name)")
    }
}

/// How many descriptors this process has open that lead below a directory.
func descriptors(below directory: FilePath) -> Int {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
    return names.count { name in
        let path = FilePath("/proc/self/fd/\(name)").linkDestination()
        return path?.string.hasPrefix(directory.string) == true
    }
}
