package import MirrorCore
package import MirrorImage
package import MirrorState
package import MirrorSystem
package import MirrorTarget
package import SystemPackage

/// What it takes of a mount to open the images and the targets of a job that begins.
package protocol JobHost: AnyObject, Sendable {
    /// The source directory, and its path.
    var source: FileDescriptor { get }
    var sourcePath: FilePath { get }
    var mountpoint: FilePath { get }
    /// The target of jobs that name none.
    var defaultTarget: FilePath? { get }
    var images: ImageRegistry { get }
    var serving: ServedImages { get }
    /// How a target that is a URI is connected to; nil where no client is built in.
    var opener: TwinStoreOpener? { get }
    /// What a test has put between twins and their stores; nil outside of tests.
    var targetFilter: (any TargetFilter)? { get }

    /// Opens the file that serves an image now; the caller closes it.
    func openBacking(
        of path: FilePath
    ) throws(Errno) -> (descriptor: FileDescriptor, own: FileStatus, twin: FilePath?)
    /// Every switch-over moves this descriptor too, until `Image.unfollow`.
    func follow(_ image: Image, _ descriptor: FileDescriptor) throws(Errno)
    /// Ends one use of an image.
    func release(_ image: Image)
    /// The image's own file, open and locked, where `target` names it and a twin serves the image.
    func home(
        of image: Image, named target: FilePath
    ) throws(CommandError) -> (descriptor: FileDescriptor, path: FilePath)?
    /// The checkpoint that a job starts from; nil where it starts from none.
    func checkpoint(
        of image: Image, _ parameters: JobParameters
    ) throws(CommandError) -> Checkpoint?
}
