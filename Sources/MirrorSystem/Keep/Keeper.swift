import Synchronization
public import SystemPackage

/// Whoever holds descriptors for a worker, so that its successor finds them: the keeper process, or
/// the descriptor store of a service manager behind it.
///
/// Names are ASCII letters, digits, `-` and `.`, at most 64 bytes, and say what the descriptor is:
/// `fuse`, `source`, `session`, `table-<id>` …
public protocol Keeper: AnyObject, Sendable {
    /// Holds a duplicate of `descriptor` under `name`, instead of an earlier one. When this returns
    /// the successor will find it, even if this process dies at once.
    func keep(_ descriptor: FileDescriptor, as name: String)

    /// Forgets what is held under `name`, if anything is, also what a predecessor had held.
    func drop(_ name: String)

    /// A duplicate of what a predecessor had held under `name`, the caller's to close; nil where
    /// there was nothing.
    func inherited(_ name: String) -> FileDescriptor?

    /// Every name under which a predecessor had held something.
    var inheritedNames: [String] { get }

    /// How many workers there were before this one.
    var predecessors: Int { get }

    /// The process that holds; nil where nobody outlives this one.
    var process: Int32? { get }
}

extension Keeper {
    /// The memory that is kept under `name`: a predecessor's, or new and all zero.
    ///
    /// - Returns: the memory, and whether it is a predecessor's.
    public func memory(
        _ name: String, count: Int
    ) throws(Errno) -> (memory: SharedMemory, isInherited: Bool) {
        if let file = inherited(name) { return (try SharedMemory(adopting: file), true) }
        let memory = try SharedMemory(count: count)
        keep(memory.descriptor, as: name)
        return (memory, false)
    }
}

/// In which order descriptors go to whoever holds them.
public enum HeldName {
    /// Without these the mount is lost, without the others a file or a job.
    private static let first = ["fuse", "source", "session", "keeper"]

    public static func inOrder(_ names: some Collection<String>) -> [String] {
        first.filter(names.contains) + names.filter { !first.contains($0) }
    }
}

/// Holds within the process: for tests, in which a successor is another object (`successor()`), and
/// where there is nobody to outlive the process.
public final class LocalKeeper: Keeper {
    private struct Held {
        var files: [String: FileDescriptor] = [:]
    }

    /// Leaf lock.
    private let held = Mutex(Held())
    private let found: Mutex<[String: FileDescriptor]>
    public let predecessors: Int
    public var process: Int32? { nil }

    public convenience init() { self.init([:], predecessors: 0) }

    private init(_ files: [String: FileDescriptor], predecessors: Int) {
        found = Mutex(files)
        self.predecessors = predecessors
        held.withLock { $0.files = files.compactMapValues { try? $0.duplicated() } }
    }

    deinit {
        for file in found.withLock({ $0 }).values { try? file.close() }
        for file in held.withLock({ $0.files }).values { try? file.close() }
    }

    /// What a worker would be given that starts after this one has died.
    public func successor() -> LocalKeeper {
        LocalKeeper(
            held.withLock { $0.files.compactMapValues { try? $0.duplicated() } },
            predecessors: predecessors + 1)
    }

    public func keep(_ descriptor: FileDescriptor, as name: String) {
        let copy = try? descriptor.duplicated()
        let old = held.withLock { held in
            defer { held.files[name] = copy }
            return held.files[name]
        }
        try? old?.close()
    }

    public func drop(_ name: String) {
        try? held.withLock { $0.files.removeValue(forKey: name) }?.close()
        try? found.withLock { $0.removeValue(forKey: name) }?.close()
    }

    public func inherited(_ name: String) -> FileDescriptor? {
        found.withLock { $0[name].flatMap { try? $0.duplicated() } }
    }

    public var inheritedNames: [String] { found.withLock { Array($0.keys) } }
}
