import Foundation
import MirrorCore
import MirrorNBD
import MirrorSystem
import SystemPackage

@testable import MirrorEngine
@testable import MirrorImage
@testable import MirrorJob
@testable import MirrorState
@testable import MirrorTarget

/// An image and a folder for its twins, without an engine. Everything is gone when it is.
final class TargetBench {
    let root: FilePath
    let image: FilePath
    let source: FileDescriptor

    init(_ base: String = NSTemporaryDirectory(), bytes: Int = 100_000) throws {
        let name = "twinfs-target-\(ThisProcess.id)-\(UInt32.random(in: 0...UInt32.max))"
        root = FilePath(base).appending(name)
        for folder in ["source", "target"] {
            try FileManager.default.createDirectory(
                atPath: root.appending(folder).string, withIntermediateDirectories: true)
        }
        image = root.appending("source").appending("vm.img")
        try Self.random(bytes).write(to: URL(fileURLWithPath: image.string))
        source = try FileDescriptor.openBacking(image, .readWrite)
    }

    deinit {
        try? source.close()
        try? FileManager.default.removeItem(atPath: root.string)
    }

    static func random(_ count: Int) -> Data {
        Data((0..<count).map { _ in UInt8.random(in: 1...255) })
    }

    func path(_ name: String) -> FilePath { root.appending("target").appending(name) }
    func bytes(_ name: String) -> Data? {
        try? Data(contentsOf: URL(fileURLWithPath: path(name).string))
    }
    var imageBytes: Data { (try? Data(contentsOf: URL(fileURLWithPath: image.string))) ?? Data() }
    var names: Set<String> {
        Set(
            (try? FileManager.default.contentsOfDirectory(
                atPath: root.appending("target").string)) ?? [])
    }

    @discardableResult
    func put(_ name: String, _ bytes: Data, image: String? = nil, state: String? = nil) throws
        -> FileIdentity
    {
        try bytes.write(to: URL(fileURLWithPath: path(name).string))
        let file = try FileDescriptor.openBacking(path(name), .readWrite)
        defer { try? file.close() }
        if let image { try file.setAttribute("user.twinfs.image", image) }
        if let state { try file.setAttribute("user.twinfs.state", state) }
        return try file.status().identity
    }

    func identity(_ name: String) -> FileIdentity? { try? path(name).status().identity }

    func attribute(_ name: String, _ attribute: String) throws -> String? {
        let file = try FileDescriptor.openBacking(path(name), .readOnly)
        defer { try? file.close() }
        return file.attribute("user.twinfs.\(attribute)")
    }

    /// A twin of the image under `name`, as a job with these parameters would begin it.
    func twin(
        _ name: String = "vm.img", targetIsZero: Bool = false, faults: FaultPlan? = nil,
        _ change: (inout JobParameters) -> Void = { _ in }
    ) throws(CommandError) -> Twin {
        var parameters = JobParameters()
        change(&parameters)
        let directory: FileDescriptor
        let status: FileStatus
        do {
            directory = try .openBacking(root.appending("source"), .readOnly, .directory)
            status = try source.status()
        } catch { throw CommandError(.io, "\(error)") }
        defer { try? directory.close() }
        let isWhole = name.hasPrefix("/") || name.hasPrefix("nbd")
        let place = try TargetPlace(
            named: isWhole ? Array(name.utf8) : path(name).bytes,
            .init(
                source: directory, sourcePath: root.appending("source"),
                mountpoint: root.appending("mount"), image: status, relativePath: "vm.img"),
            try TwinBeginning(parameters))
        return try Twin(
            place, status, named: "vm.img", parameters, source: source, targetIsZero: targetIsZero,
            opener: NBDStore.open, faults: faults)
    }

    /// What the first pass would do, in pieces of 64 KiB.
    func copy(to twin: Twin) throws {
        let data = [UInt8](imageBytes)
        let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: 65536, alignment: 4096)
        defer { scratch.deallocate() }
        for start in stride(from: 0, to: data.count, by: 65536) {
            try data[start..<min(start + 65536, data.count)].withUnsafeBytes { piece in
                _ = try twin.makeEqual(to: piece, at: UInt64(start), using: scratch)
            }
        }
    }
}

/// The code of the error that `body` is refused with.
func refusal(_ body: () throws -> Void) -> CommandError? {
    do {
        try body()
        return nil
    } catch {
        return error as? CommandError
    }
}
