import Dispatch
import MirrorCore
public import MirrorSystem
import Synchronization
public import SystemPackage

/// A regular file under the source directory that somebody has open in the mount, or that a job mirrors.
///
/// Guests' changes come in through `write`, `truncate` and `allocate` (in `Intercept/`); jobs attach a
/// `Tracker` each. One object per file, whatever its names: identity is device and inode.
public final class Image: Sendable {
    public let identity: FileIdentity

    let gate = Gate()
    /// What every change is marked in. Changed only while the gate is held and idle.
    let trackers = TrackerList()
    /// Puts forwarded writes that overlap in order.
    let order = RangeOrder()
    /// Where the file ends: which changes move it, and what a truncation takes away.
    let end = EndOfFile()
    /// End of the image where a block device serves it; `UInt64.max` where a file does, which has its own
    /// end. Changed only while the gate is held and idle, or while nobody has the image open.
    let limit = Atomic<UInt64>(.max)
    /// Whether the file that serves the image may give its pages away (`FileDescriptor.givesPages`).
    let pagesMayGo = Atomic<Bool>(false)
    /// The first failure of a flush, kept until the last handle is closed; 0 is none.
    let flushFailure = Atomic<Int32>(0)
    /// How often another file has come to serve the image.
    let moves = Atomic<Int>(0)

    /// How long requests take, for jobs that mind.
    let timer = RequestTimer()

    /// Changes that wait for their intent to be durable.
    let intentWaits = IntentWaits()

    /// Flushes of the source that guests asked for.
    let flushCount = FlushCount()

    /// Jobs that wait for a guest's flush.
    let flushWatches = FlushWatches()

    /// Jobs that make their twins durable with a guest's flush.
    let twinFlushes = TwinFlushes()

    /// Where changes that a hold had parked are run again, one after the other.
    let replay = DispatchQueue(label: "twinfs.replay", qos: .userInitiated)

    /// Keeps other processes from the backing file while somebody writes or a job lives.
    let lock = BackingLock()

    /// Held while `VoidMark` changes what the image's file says: two of its jobs would erase each other's.
    let voidMarks = Mutex<Void>(())

    /// Every descriptor that a switch-over has to move to the twin.
    let handles = OpenHandles()

    /// Held while the image is opened, from choosing the file until the handle is counted, and by a
    /// switch-over from its preparation to its end: an open gets the old file and is moved, or the new
    /// one. Only other opens of this image wait for it.
    let opening = Mutex<Void>(())

    /// Protects names and counts. Leaf lock: nothing is called under it.
    let state: Mutex<ImageState>

    init(identity: FileIdentity, path: FilePath) {
        self.identity = identity
        state = Mutex(ImageState(path: path))
    }

    /// Its path relative to the source directory, as last seen; renames follow.
    public var path: FilePath { state.withLock { $0.path } }

    /// Open handles in the mount.
    public var opens: Int { state.withLock { $0.readers + $0.writers } }
}

struct ImageState: ~Copyable {
    var path: FilePath
    /// Uses of the object: handles and jobs, and whoever is about to become one.
    var users = 0
    var readers = 0
    var writers = 0
    /// Read-only opens that the kernel serves past us. While there are any, no job starts.
    var pins = 0
    var jobs = 0
    var isDeleted = false

    init(path: FilePath) { self.path = path }
}
