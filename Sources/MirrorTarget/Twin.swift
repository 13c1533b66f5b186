package import MirrorCore
package import MirrorSystem
package import SystemPackage

/// The second copy of an image: a store with the bytes (`TwinStore`), and where that is a file its
/// names and attributes (`TwinFile`). Every call may block for as long as the target likes, so only
/// lanes and clerks make them.
///
/// A file is `NAME.partial` until it was in sync once; how else it may begin, and what the first
/// pass then has to do, stands in `TwinBeginning`. The twin of a job that comes back after a
/// restart is opened later (`reopen`): until then only its place is known, and nothing may be read
/// or written.
///
/// `@unchecked Sendable`: `parts` is set once, on the job's queue, and everybody who uses it was
/// started from there afterwards.
package final class Twin: @unchecked Sendable {
    package let place: TargetPlace
    /// What the job has to copy before source and twin can agree.
    package let firstPass: FirstPass
    /// Nil while the twin is not open.
    private var parts: OpenTarget?
    package let unmap: Bool
    private let hasHoles: Bool
    /// The name under which it was being written, where it is not open.
    private let returningPath: FilePath?
    private let granularity: Granularity
    /// Called once everything is closed.
    private let released: @Sendable () -> Void
    /// What a test has put between the twin and its store; nil outside of tests.
    package let filter: (any TargetFilter)?

    package var store: any TwinStore { parts!.store }
    package var file: TwinFile? { parts?.file }
    var ragged: RaggedBlocks { parts!.ragged }

    /// Makes or opens the target, locks it, and sets its size. Leaves things as they were where it
    /// fails.
    ///
    /// - Parameters:
    ///   - image: the image's file, and `imagePath` its path in the mount.
    ///   - source: the image, open; for `seed=reflink`.
    ///   - checkpoint: the id of what `sync=incremental` starts from.
    ///   - targetIsZero: whether the user says so. All of the target is read then.
    package init(
        _ place: TargetPlace, _ image: FileStatus, named imagePath: FilePath,
        _ parameters: JobParameters, source: FileDescriptor? = nil, checkpoint: String? = nil,
        targetIsZero: Bool = false,
        opener: TwinStoreOpener? = nil, filter: (any TargetFilter)? = nil
    ) throws(CommandError) {
        self.place = place
        self.filter = filter
        unmap = parameters.unmap
        granularity = parameters.granularity
        released = {}
        returningPath = nil
        let beginning = try TwinBeginning(parameters)
        hasHoles = unmap && !beginning.isDelta
        let (store, file): (any TwinStore, TwinFile?)
        let holdsOldBytes: Bool
        switch place.kind {
        case .file:
            let request = TwinRequest(
                place: place, image: image, imagePath: imagePath, beginning: beginning,
                source: source, checkpoint: checkpoint, targetIsZero: targetIsZero)
            let made = try TwinFile(request)
            (file, store) = (made, FileStore(made.descriptor))
            holdsOldBytes = made.holdsOldBytes
        case .device, .export:
            try beginning.refuseWithoutFile(place.name)
            (file, store) = (nil, try Self.open(place, image.size, opener))
            holdsOldBytes = !(try Self.isZero(store, image, place, targetIsZero))
        }
        firstPass = beginning.firstPass(holdsOldBytes: holdsOldBytes, unmap: unmap)
        parts = parts(store, file)
    }

    /// The twin of a job that comes back; `reopen` opens it.
    package init(
        returning place: TargetPlace, named workingPath: FilePath, _ parameters: JobParameters,
        _ firstPass: FirstPass, filter: (any TargetFilter)?
    ) {
        self.place = place
        returningPath = workingPath
        self.firstPass = firstPass
        self.filter = filter
        (unmap, granularity) = (parameters.unmap, parameters.granularity)
        hasHoles = parameters.unmap && !parameters.isDelta
        released = {}
    }

    /// What belongs to an open target.
    package func parts(_ opened: any TwinStore, _ file: TwinFile?) -> OpenTarget {
        let store = filter?.filtered(opened) ?? opened
        let ragged = RaggedBlocks(
            block: store.blockSize, granularity: granularity,
            matters: hasHoles && store.capacity == nil)
        return OpenTarget(store: store, file: file, ragged: ragged)
    }

    /// On the job's queue, before anybody reads or writes the twin.
    package func reopen(_ parts: OpenTarget) { self.parts = parts }

    /// Whether it is an image's own file, which a switch-over left behind.
    package var isHome: Bool { file?.isHome ?? false }

    /// When it was cut, as its attribute says: seconds since 1970.
    package var cutTime: Int? { file?.descriptor.attribute(TwinAttribute.cut).flatMap { Int($0) } }

    /// Whether it is open.
    package var isOpen: Bool { parts != nil }

    /// A file that was an image until the guest was switched to its twin, and is to become equal
    /// again: written in place, never renamed, its owner and mode left alone. It has no state
    /// attribute while it serves an image, so `removeAnnotations` is for the one who lets it serve
    /// again.
    ///
    /// - Parameters:
    ///   - descriptor: open for reading and writing, and locked; the twin closes it.
    ///   - firstPass: `nothing` where the caller knows what has changed since, and marks it.
    ///   - released: called once the descriptor is closed, for whoever holds the lock elsewhere.
    package init(
        home descriptor: FileDescriptor, _ path: FilePath, firstPass: FirstPass,
        _ parameters: JobParameters, filter: (any TargetFilter)? = nil,
        released: @escaping @Sendable () -> Void = {}
    ) {
        place = TargetPlace(home: path)
        self.firstPass = firstPass
        self.filter = filter
        self.released = released
        returningPath = nil
        (unmap, granularity) = (parameters.unmap, parameters.granularity)
        hasHoles = unmap
        let file = TwinFile(home: descriptor, path)
        parts = parts(FileStore(descriptor), file)
        file.annotate(.inconsistent, [])
    }

    /// The store of a target that is no file, for an image of `size` bytes.
    package static func open(
        _ place: TargetPlace, _ size: UInt64, _ opener: TwinStoreOpener?
    ) throws(CommandError) -> any TwinStore {
        guard case .export(let uri) = place.kind else { return try device(place) }
        guard let opener else {
            throw CommandError(
                .notSupported, "target \(place.name): no NBD client is built in; name a path")
        }
        let store = try opener(uri)
        if let capacity = store.capacity, capacity < size {
            store.close()
            throw CommandError(
                .targetTooSmall,
                "target \(place.name): the export has \(capacity) bytes, the image has \(size);"
                    + " name one that is at least as large")
        }
        return store
    }

    private static func device(_ place: TargetPlace) throws(CommandError) -> any TwinStore {
        guard case .device = place.kind else { preconditionFailure("not a device") }
        let store: DeviceStore
        do throws(Errno) {
            store = try DeviceStore(place.path)
        } catch {
            throw .target(place.path, error)
        }
        do throws(CommandError) {
            if let device = store.local {
                let path = (try? place.path.resolved()) ?? place.path
                try place.served?.refuse(path, device)
            }
            return store
        } catch {
            store.close()
            throw error
        }
    }

    /// Whether a target that was there before reads as zero, where the user says that it does.
    private static func isZero(
        _ store: any TwinStore, _ image: FileStatus, _ place: TargetPlace, _ isAsserted: Bool
    ) throws(CommandError) -> Bool {
        guard isAsserted else { return false }
        do throws(CommandError) {
            try store.refuseNonZero(below: image.size, place.name)
            return true
        } catch {
            store.close()
            throw error
        }
    }

    /// Gives the target back: descriptors, locks. Nothing else may be called afterwards.
    package func close() {
        parts?.close()
        released()
    }

    /// Takes back what was done to make or take over the target, and closes it: its job does not
    /// begin.
    package func discard() {
        if let file { file.discard() } else { parts?.store.close() }
        released()
    }

    /// The file or device, open and locked; nil for a target on another machine.
    package var descriptor: FileDescriptor? { parts?.store.local }

    /// The name under which it is being written.
    package var workingPath: FilePath { file?.workingPath ?? returningPath ?? place.path }

    /// The working path, as it may stand in a message.
    package var workingName: String {
        (file?.workingPath ?? returningPath).map { shown($0) } ?? place.name
    }

    /// Whether the target is of fixed size (a block device, an export): what lies behind the
    /// image's end keeps its bytes, so whatever the image grows over has to be written.
    package var hasFixedSize: Bool { parts.map { $0.store.capacity != nil } ?? place.hasFixedSize }

    /// What zero runs have to fill to become holes, and what they are looked for in: `ZeroScan`'s
    /// block.
    package var zeroBlock: Int { min(store.blockSize, ZeroScan.block) }
}
