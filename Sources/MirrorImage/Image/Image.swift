import Dispatch
package import MirrorCore
public import MirrorSystem
package import Synchronization
public import SystemPackage

/// A regular file under the source directory that somebody has open in the mount, or that a job
/// mirrors.
///
/// Guests' changes come in through `write`, `truncate` and `allocate` (in `Intercept/`); jobs
/// attach a `Tracker` each. One object per file, whatever its names: identity is device and inode.
public final class Image: Sendable {
    public let identity: FileIdentity

    package let gate = Gate()
    /// What every change is marked in. Changed only while the gate is held and idle.
    package let trackers = TrackerList()
    /// Puts forwarded writes that overlap in order.
    package let order = RangeOrder()
    /// Where the file ends: which changes move it, and what a truncation takes away.
    package let end = EndOfFile()
    /// End of the image where a block device serves it; `UInt64.max` where a file does, which has
    /// its own end. Changed only while the gate is held and idle, or while nobody has the image
    /// open.
    package let limit = Atomic<UInt64>(.max)
    /// Whether the file that serves the image may give its pages away
    /// (`FileDescriptor.givesPages`).
    package let pagesMayGo = Atomic<Bool>(false)
    /// The first failure of a flush, kept until the last handle is closed; 0 is none.
    package let flushFailure = Atomic<Int32>(0)
    /// How often another file has come to serve the image.
    package let moves = Atomic<Int>(0)

    /// How long requests take, for jobs that mind.
    package let timer = RequestTimer()

    /// Changes that wait for their intent to be durable.
    let intentWaits = IntentWaits()

    /// Flushes of the source that guests asked for.
    package let flushCount = FlushCount()

    /// Jobs that wait for a guest's flush.
    package let flushWatches = FlushWatches()

    /// Jobs that make their twins durable with a guest's flush.
    package let twinFlushes = TwinFlushes()

    /// Where changes that a hold had parked are run again, one after the other.
    let replay = DispatchQueue(label: "twinfs.replay", qos: .userInitiated)

    /// Keeps other processes from the backing file while somebody writes or a job lives.
    package let lock = BackingLock()

    /// Held while `VoidLabel` changes what the image's file says: two of its jobs would erase each
    /// other's.
    package let voidLabels = Mutex<Void>(())

    /// Every descriptor that a switch-over has to move to the twin.
    package let handles = OpenHandles()

    /// Held while the image is opened, from choosing the file until the handle is counted, and by a
    /// switch-over from its preparation to its end: an open gets the old file and is moved, or the
    /// new one. Only other opens of this image wait for it.
    package let opening = Mutex<Void>(())

    /// Protects names and counts. Leaf lock: nothing is called under it.
    package let state: Mutex<ImageState>

    package init(identity: FileIdentity, path: FilePath) {
        self.identity = identity
        state = Mutex(ImageState(path: path))
    }

    /// Its path relative to the source directory, as last seen; renames follow.
    public var path: FilePath { state.withLock { $0.path } }

    /// Open handles in the mount.
    public var opens: Int { state.withLock { $0.readers + $0.writers } }
}

package struct ImageState: ~Copyable {
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
