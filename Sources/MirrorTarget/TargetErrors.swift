package import MirrorCore
import MirrorSystem
package import SystemPackage

/// A path as it may stand in a message.
package func shown(_ path: FilePath) -> String { NameText.shown(path.bytes) }

extension CommandError {
    /// A failed system call on the way to a target.
    package static func target(_ path: FilePath, _ error: Errno) -> CommandError {
        target(named: shown(path), error)
    }

    /// - Parameter name: the target as it may stand in a message.
    package static func target(named name: String, _ error: Errno) -> CommandError {
        let (code, remedy): (Code, String) =
            switch error {
            case .noSuchFileOrDirectory: (.notFound, "make it first, or name another target")
            case .permissionDenied, .notPermitted, .readOnlyFileSystem:
                (.notWritable, "let the daemon write there, or name another target")
            case .noSpace: (.noSpace, "make room, or name another target")
            case .resourceBusy, .resourceTemporarilyUnavailable:
                (.targetBusy, "somebody else has it open; end that, or name another target")
            case .fileExists: (.exists, "remove it, or name another target")
            default: (.io, "look at the target's disk, or name another target")
            }
        return CommandError(code, "target \(name): \(error): \(remedy)")
    }

    /// The image could not be cloned to a target.
    package static func clone(_ path: FilePath, _ error: Errno) -> CommandError {
        switch error {
        case .notSupported, .inappropriateIOCTLForDevice, .invalidArgument:
            CommandError(
                .notSupported,
                "target \(shown(path)): its filesystem cannot clone files (\(error)); use sync=full, or a"
                    + " filesystem with reflinks (btrfs, xfs)")
        case .improperLink:
            CommandError(
                .badValue,
                "target \(shown(path)): seed=reflink needs a target on the image's own filesystem; name one"
                    + " there, or use sync=full")
        default: target(path, error)
        }
    }
}
