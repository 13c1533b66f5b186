public import MirrorSystem
import Synchronization
public import SystemPackage

/// All images that somebody has open or that a job mirrors, by identity.
public final class ImageRegistry: Sendable {
    /// Protects the dictionary. No call out, no system call under it; taken before `Image.state`.
    private let images = Mutex<[FileIdentity: Image]>([:])

    package init() {}

    /// The image with this identity; made, and known as `path` (relative to the source), where it
    /// is new. Every call is paired with one of `release`: two objects for one file would track
    /// each other's writes nowhere.
    public func image(_ identity: FileIdentity, path: FilePath) -> Image {
        images.withLock { images in
            let image = images[identity] ?? Image(identity: identity, path: path)
            images[identity] = image
            image.state.withLock { $0.users += 1 }
            return image
        }
    }

    /// Ends one use of an image; the last one drops it.
    public func release(_ image: Image) {
        images.withLock { images in
            let users = image.state.withLock { state in
                state.users -= 1
                return state.users
            }
            if users == 0 { images[image.identity] = nil }
        }
    }

    /// Whether anybody uses the image of this identity.
    package func knows(_ identity: FileIdentity) -> Bool { images.withLock { $0[identity] != nil } }

    /// Every image there is, in no order.
    public var all: [Image] { images.withLock { Array($0.values) } }

    /// A file was renamed in the mount, alone or with a directory above it: `old` and `new` are
    /// relative to the source. Jobs follow.
    public func renamed(from old: FilePath, to new: FilePath) {
        for image in all {
            image.state.withLock { state in
                if let path = state.path.moved(from: old, to: new) { state.path = path }
            }
        }
    }
}
