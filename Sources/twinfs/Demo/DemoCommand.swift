import ArgumentParser
import MirrorCore
import MirrorSystem
import SystemPackage

struct DemoCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Mirror a small image while it is written to, and compare it with its twin.",
        discussion: """
            Example: sudo twinfs demo

            Works in a directory of its own in TMPDIR, else /tmp, which is removed at the end whatever happens. \
            Ends with 0 only when source and twin are equal.
            """)

    func run() throws {
        Demo.interruption.block()
        let demo = try Demo()
        defer { demo.cleanUp() }
        try demo.run()
    }
}

/// The demonstration: a mount of its own with one image, a guest that writes, and a twin.
///
/// The image has an ext4 filesystem in its first part; the guest writes behind it, so that the
/// twin's filesystem can be checked at the end.
struct Demo {
    static let interruption = SignalSet([.interrupt, .terminate])
    static let filesystemMiB = 192
    static let imageMiB = 256
    /// Slow enough to watch.
    static let speed = "24M"

    let directory: FilePath
    var images: FilePath { directory.appending("images") }
    var image: FilePath { images.appending("demo.img") }
    var backup: FilePath { directory.appending("backup") }
    var twin: FilePath { backup.appending("demo.img") }
    var mount: Mounted { Mounted(mountpoint: images, names: [Array("demo.img".utf8)]) }

    init() throws {
        let place = FilePath(Environment["TMPDIR"] ?? "/tmp")
        directory = try place.appending("twinfs-demo-").makeTemporaryDirectory().resolved()
    }

    func run() throws {
        say("making an image with an ext4 filesystem in \(directory)")
        try makeImage()
        say("mounting \(images) over itself")
        try runProgram(OwnProgram.path, ["mount", "--", images.string])
        let guest = try Guest(image, from: Self.filesystemMiB << 20, to: Self.imageMiB << 20)
        // An image that is open would keep the mount from going.
        defer { guest.stop() }
        guest.start()
        say("mirroring to \(twin) while a guest writes to the image")
        _ = try mount.execute(
            "mirror demo.img target=\(ControlLine.quote(twin.bytes)) speed=\(Self.speed)")
        try follow(until: .ready)
        let writes = guest.stop()
        say("in sync; cutting the twin")
        _ = try mount.execute("complete demo.img switch=off")
        try follow(until: .completed)
        let copied = try mount.report().jobs.first?.copiedBytes ?? 0
        try UnmountCommand.unmount(Mounted(mountpoint: images), source: images)
        try compare(writes: writes, copied: copied)
    }

    private func say(_ text: String) { Console.print("demo: \(text)") }

    /// Shows the bar until the job is so far.
    private func follow(until goal: Goal) throws {
        var screen = Screen()
        while true {
            let report = try mount.report()
            screen.show([report])
            if let outcome = goal.outcome(report.jobs), !report.jobs.isEmpty {
                if outcome == .success { return }
                throw Failure(outcome, "the demonstration's job did not get \(goal.rawValue)")
            }
            if Self.interruption.wait(milliseconds: 250) != nil {
                throw Failure(.failure, "interrupted")
            }
        }
    }

    /// Compares byte for byte, has the twin's filesystem checked, and says in five lines what
    /// happened.
    private func compare(writes: Int, copied: Int) throws {
        let same = try FileComparison.areEqual(image, twin)
        try? runProgram(
            "cp", ["--sparse=always", "--", twin.string, directory.appending("fs").string])
        let clean = (try? runProgram("e2fsck", ["-fn", directory.appending("fs").string])) != nil
        Console.print(
            """

            1. An image of \(Self.imageMiB) MiB with an ext4 filesystem was mounted over its own directory.
            2. A guest wrote to it \(writes) times, while its twin was made.
            3. The copier wrote \(ByteSize.text(copied)), what changed meanwhile again, until both were in sync.
            4. The twin was cut: the job is completed, the guest stayed on the source.
            5. Source and twin are \(same ? "equal" : "DIFFERENT"), byte for byte; \
            fsck finds the twin's filesystem \(clean ? "clean" : "DAMAGED").
            """)
        if !same || !clean { throw Failure(.demoDiffers, ExitReason.demoDiffers.meaning) }
    }
}
