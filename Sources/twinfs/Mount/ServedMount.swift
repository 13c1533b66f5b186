import ArgumentParser
import MirrorCore
import MirrorEngine
import MirrorFuse
import MirrorSystem
import SystemPackage

/// A mount that was checked (`MountPlan`), as the processes that keep and serve it are told of it:
/// nothing in it needs a look at a path that may lead into the mount.
struct ServedMount {
    let request: MountRequest
    /// Absolute, without links, as the other paths.
    let source: FilePath
    let mountpoint: FilePath
    let target: FilePath?
    let stateDirectory: FilePath?
    let controlGroup: UInt32?
    /// What stood after `-o`, each as it was written.
    let options: [[UInt8]]
    /// Whether the log goes to standard error.
    let foreground: Bool

    init(_ plan: MountPlan, options: [RawArgument], foreground: Bool) {
        (request, source, mountpoint) = (plan.request, plan.source, plan.mountpoint)
        (target, stateDirectory) = (plan.target, plan.stateDirectory)
        controlGroup = plan.controlGroup
        self.options = options.map(\.bytes)
        self.foreground = foreground
    }

    /// The mount as arguments of the worker (`ServedMountArguments`).
    var words: [[UInt8]] {
        var words: [[UInt8]] = foreground ? [Array("-f".utf8)] : []
        func add(_ name: String, _ value: [UInt8]?) {
            if let value { words += [Array(name.utf8), value] }
        }
        add("--target", target?.bytes)
        add("--state", stateDirectory?.bytes)
        add("--control-group", controlGroup.map { Array("\($0)".utf8) })
        for option in options { add("-o", option) }
        return words + [Array("--".utf8), source.bytes, mountpoint.bytes]
    }

    var configuration: MountConfiguration {
        var configuration = MountConfiguration(source: source, mountpoint: mountpoint)
        configuration.target = target
        configuration.include = request.include
        configuration.exclude = request.exclude
        configuration.auto = request.auto
        configuration.controlGroup = controlGroup
        configuration.stateDirectory = stateDirectory
        configuration.defaults = request.parameters
        return configuration
    }

    /// How the kernel is to show it.
    var mountOptions: MountOptions {
        var options = MountOptions()
        options.allowOther = request.allowOther
        options.readOnly = request.isReadOnly
        options.kernelOptions = request.kernelFlags
        return options
    }
}

/// `ServedMount` on the command line of the program's own processes.
struct ServedMountArguments: ParsableArguments {
    @Option var target: RawArgument?
    @Option var state: RawArgument?
    @Option var controlGroup: UInt32?
    @Option(name: .customShort("o", allowingJoined: true)) var options: [RawArgument] = []
    @Flag(name: .customShort("f")) var foreground = false
    @Argument var source: RawArgument
    @Argument var mountpoint: RawArgument

    func mount() throws -> ServedMount { try ServedMount(self) }
}

extension ServedMount {
    init(_ arguments: ServedMountArguments) throws {
        request = try MountPlan.request(arguments.options)
        source = arguments.source.path
        mountpoint = arguments.mountpoint.path
        target = arguments.target?.path
        stateDirectory = arguments.state?.path
        controlGroup = arguments.controlGroup
        options = arguments.options.map(\.bytes)
        foreground = arguments.foreground
    }
}
