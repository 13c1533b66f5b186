/// Everything that `twinfs` can end with. Numbers are stable; `meaning` is shown by
/// `twinfs help exit-codes` and stands in `docs/control.md`.
public enum ExitReason: Int32, CaseIterable, Error, Sendable {
    case success = 0
    case failure = 1

    // Commands on a mount.
    case notMounted = 3
    case noAnswer = 4
    case badCommand = 5
    case unknownName = 6
    case notSupported = 7
    case badState = 8
    case exists = 9
    case badTarget = 10
    case noSpace = 11
    case notPermitted = 12

    // `wait`, `watch`, `verify`; `timedOut` also `unmount` and `restart`.
    case timedOut = 20
    case jobFailed = 21
    case jobCancelled = 22
    case twinDiffers = 23

    // Mounting and unmounting.
    case sourceMissing = 30
    case sourceNotDirectory = 31
    case sourceUnreadable = 32
    case mountpointMissing = 33
    case mountpointNotDirectory = 34
    case mountpointNotEmpty = 35
    case alreadyMounted = 36
    case sourceServed = 37
    case badOption = 38
    case noFuse = 39
    case allowOtherForbidden = 40
    case mountFailed = 41
    case daemonDied = 42
    case stillOpen = 43
    case mountpointInSource = 44

    case demoDiffers = 50
    case usage = 64

    /// One sentence for people.
    public var meaning: String {
        switch self {
        case .success: "It worked."
        case .failure: "It failed in a way that has no number of its own; the message says how."
        case .notMounted: "The path lies in no twinfs mount, or nothing is mounted."
        case .noAnswer: "The mount did not answer in time."
        case .badCommand: "The mount could not read the command: unknown word, key or value."
        case .unknownName: "The mount has no such image or job."
        case .notSupported:
            "The request is understood, but this version or this target cannot do it."
        case .badState: "The job or image is in a state in which this cannot be done."
        case .exists: "A file has the target's name, or a job of that name exists."
        case .badTarget: "The target cannot be used: missing, in use, too small, or in the source."
        case .noSpace: "The target has not enough free space."
        case .notPermitted: "Permission was refused."
        case .timedOut: "Timed out."
        case .jobFailed: "The job that was waited for failed, or stands with an error."
        case .jobCancelled: "The job that was waited for was cancelled."
        case .twinDiffers: "`verify` found that a twin differs from its source."
        case .sourceMissing: "The source directory does not exist."
        case .sourceNotDirectory: "The source is not a directory."
        case .sourceUnreadable: "The source directory cannot be read."
        case .mountpointMissing: "The mountpoint does not exist."
        case .mountpointNotDirectory: "The mountpoint is not a directory."
        case .mountpointNotEmpty: "The mountpoint is not empty."
        case .alreadyMounted: "The source is already mounted at that mountpoint."
        case .sourceServed: "Another twinfs serves the source directory."
        case .badOption: "A mount option is unknown, or its value is wrong."
        case .noFuse: "The kernel's FUSE device cannot be opened."
        case .allowOtherForbidden: "allow_other needs root or user_allow_other in /etc/fuse.conf."
        case .mountFailed: "The kernel refused the mount."
        case .daemonDied: "The daemon ended before the mount was usable."
        case .stillOpen: "The mount is busy: processes hold files in it."
        case .mountpointInSource:
            "The mountpoint lies inside the source, or the source in another twinfs mount."
        case .demoDiffers: "The demonstration's twin differs from its source."
        case .usage: "The command line could not be understood."
        }
    }
}
