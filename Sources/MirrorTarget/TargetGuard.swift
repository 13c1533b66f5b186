package import MirrorCore
package import SystemPackage

/// Keeps jobs from writing to files and devices that images are served from. A target is asked
/// about by name before anything is touched, and once more when it is open and locked.
package protocol TargetGuard: Sendable {
    /// - Parameter path: without links in its directory; of a device without links at all.
    /// - Throws: which image lives there, and the way out.
    func refuse(_ path: FilePath) throws(CommandError)
    /// Refuses a file that is open and locked, as `refuse(_:)` does a name.
    func refuse(_ path: FilePath, _ file: FileDescriptor) throws(CommandError)
    /// Takes off the mark that an uncommitted switch-over has left on a job's own twin.
    func forgetUncommitted(_ file: FileDescriptor)
}
