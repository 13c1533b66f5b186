import ArgumentParser
import MirrorCore
import MirrorEngine
import MirrorJob
import MirrorState
import MirrorSystem
import MirrorTarget
import SystemPackage

struct CheckpointCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "checkpoint",
        abstract: "Keep what changes in an image from now on under a name.",
        usage: """
            twinfs checkpoint IMAGE NAME [--json]
            twinfs checkpoint --list IMAGE [--json]
            twinfs checkpoint --delete IMAGE NAME [--json]
            """,
        discussion: """
            Example: twinfs checkpoint /srv/images/vm1.img monday

            A mirror with sync=incremental checkpoint=monday then copies only that. Backup programs find the \
            changed extents in .mirror/checkpoints/IMAGE/NAME, and --list --json prints these files.
            """)

    @Flag(help: "List the image's checkpoints.")
    var list = false

    @Flag(help: "Forget a checkpoint.")
    var delete = false

    @Flag(help: "Print JSON.")
    var json = false

    @Argument(help: "An image inside a mount.")
    var image: RawArgument

    @Argument(help: "1 to 64 of A-Z a-z 0-9 . _ -, with no dot in front.")
    var name: RawArgument?

    func validate() throws {
        if list, delete { throw ValidationError("Either --list or --delete.") }
        if list, name != nil { throw ValidationError("--list takes an image alone.") }
        if !list, name == nil {
            throw ValidationError(
                "Name the checkpoint, e.g. twinfs checkpoint /srv/images/vm1.img monday")
        }
    }

    func run() throws {
        guard let name else { return try CheckpointList(image).print(json: json) }
        let delete = ParameterPair(key: Array("delete".utf8), value: Array("on".utf8))
        try Action(
            verb: .checkpoint, paths: [image], words: [ControlLine.quote(name.bytes)],
            parameters: self.delete ? [delete] : [], json: json
        ).run()
    }
}

/// The checkpoints of one image, as the mount shows them.
private struct CheckpointList {
    private let mount: Mounted
    private let image: FilePath

    init(_ image: RawArgument) throws {
        mount = try Mounted.find(image, try Mounted.table())
        guard let name = mount.names.first else {
            throw Failure(
                .badCommand,
                "\(NameText.shown(image.bytes)): is the mount itself; name an image in it")
        }
        self.image = FilePath(bytes: name)
    }

    func print(json: Bool) throws {
        for file in try TimeLimit.run(mount.shown, read) {
            guard !json else {
                Console.print(file.content)
                continue
            }
            guard let report = CheckpointReport(json: file.content) else {
                throw Failure(
                    .failure,
                    "\(file.shown): cannot be read by this version (\(Version.text))")
            }
            Console.print(report.line)
        }
    }

    private struct File {
        let shown: String
        let content: [UInt8]
    }

    /// By name. A checkpoint that is deleted meanwhile is left out, as is a directory of other
    /// images.
    private func read() throws -> [File] {
        let directory = mount.file("checkpoints").pushing(image)
        return try names(directory).compactMap { name in
            let path = directory.appending(name)
            let shown = NameText.shown(path.bytes)
            do throws(Errno) {
                return File(shown: shown, content: try path.content(limit: .max))
            } catch {
                if error == .noSuchFileOrDirectory || error == .isDirectory { return nil }
                throw Failure(.failure, "\(shown): \(error)")
            }
        }
    }

    private func names(_ path: FilePath) throws -> [FilePath.Component] {
        do throws(Errno) {
            let directory = try FileDescriptor.openBacking(path, .readOnly, .directory)
            defer { try? directory.close() }
            return try directory.entryNames().sorted { $0.string < $1.string }
        } catch {
            guard error == .noSuchFileOrDirectory else {
                throw Failure(.failure, "\(NameText.shown(path.bytes)): \(error)")
            }
            try refuseMissingImage()
            return []
        }
    }

    private func refuseMissingImage() throws {
        let path = mount.mountpoint.pushing(image)
        if (try? path.status()) != nil { return }
        throw Failure(.unknownName, "\(NameText.shown(path.bytes)): there is no such image")
    }
}
