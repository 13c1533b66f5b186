import CFuse
import Logging
import MirrorEngine
import MirrorJob
import MirrorSystem
import Synchronization
import SystemPackage

/// Everything that the operations of one mount share.
///
/// `@unchecked Sendable`: what is `var` is written before the request threads start, or while the
/// first of them answers INIT and no other runs.
final class Session: @unchecked Sendable {
    let engine: Engine
    let nodes: NodeTable
    let root: RootLook
    let files: HandleTable<OpenFile>
    let directories: HandleTable<OpenDirectory>
    let mirror: ControlTable
    let controlFiles: HandleTable<OpenControlFile>
    let pollers = Pollers()
    let identity = MountIdentity()
    let log = Logger(label: "twinfs.fuse")

    /// libfuse's session, which decodes every request but READ and WRITE.
    var libfuse: OpaquePointer!
    /// The one descriptor of `/dev/fuse`, shared by all threads.
    let device: Int32
    /// Whether libfuse has seen INIT.
    var isInitialized = false
    /// While INIT is replayed: its answer is nobody's.
    var swallowsAnswer = false
    /// What the kernel offered in INIT beyond what libfuse 3.14 knows.
    var offer = KernelOffer()

    let threads = RequestThreads()
    let life = SessionLife()

    /// Holds what a successor needs; the records among it are in `kept`.
    let keeper: any Keeper
    let kept: SessionMemory
    /// Set once a request came that is not a predecessor's: all of those were received before it.
    let sawFresh = Atomic<Bool>(false)

    init(
        engine: Engine, source: FileDescriptor, device: FileDescriptor, keeper: any Keeper
    ) throws(Errno) {
        self.engine = engine
        self.device = device.rawValue
        self.keeper = keeper
        kept = try SessionMemory(keeper)
        files = HandleTable(kept.files)
        directories = HandleTable(kept.directories)
        controlFiles = HandleTable(kept.controlFiles)
        let root = try source.openNode(".")
        let attributes = try root.attributes()
        nodes = NodeTable(
            root: root, attributes: attributes, kept: kept.nodes, last: kept.lastNode)
        self.root = RootLook(nodes.root, attributes)
        mirror = ControlTable(engine, kept.controlNodes, kept.lastControlNode)
        let pollers = pollers
        engine.events.subscribe { pollers.wake() }
    }

    /// The session that a request belongs to.
    static func of(_ request: fuse_req_t?) -> Session { at(fuse_req_userdata(request)) }

    static func at(_ userdata: UnsafeMutableRawPointer?) -> Session {
        Unmanaged<Session>.fromOpaque(userdata!).takeUnretainedValue()
    }
}

/// The threads that serve requests, and what decides how many of them wait for one.
struct RequestThreads: ~Copyable, Sendable {
    let live = ThreadCount()
    let readers = Readers()
    let stallWatch = StallWatch()
    let slowReads = Slowness()
    let slowWrites = Slowness()
    let backlog = Backlog()
}

/// How far a session has come: each of these happens once, and for good.
struct SessionLife: ~Copyable, Sendable {
    /// Set by `drain`.
    let stopping = Atomic<Bool>(false)
    /// Opened when INIT was answered, or when the mount went before that.
    let usable = Latch()
    /// Opened when the last request thread has ended.
    let ended = Latch()
}
