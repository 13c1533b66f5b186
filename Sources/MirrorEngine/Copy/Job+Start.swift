import Dispatch
import MirrorCore
import MirrorSystem
import SystemPackage

/// What a job is made of once everything that can be refused has been looked at.
struct JobParts {
    let image: Image
    let path: FilePath
    let size: UInt64
    let source: FileDescriptor
    let twin: Twin
    let parameters: JobParameters
}

extension JobParts {
    /// Opens image and target for `path` (relative to the source directory). Blocks; runs on a clerk.
    /// Whatever is refused leaves nothing created.
    init(_ path: FilePath, _ parameters: JobParameters, _ engine: Engine) throws(CommandError) {
        guard let target = parameters.target ?? engine.configuration.target?.bytes else {
            throw CommandError(.badValue, "mirror: no target is named; write target=/backup/")
        }
        let source = try Self.openImage(path, engine.source)
        do throws(CommandError) {
            let status = try Self.status(source, path)
            try Self.refuseHuge(status.size, path)
            if parameters.sync == .full { try Self.refuseReferences(source, path) }
            let image = engine.images.image(status.identity, path: path)
            do throws(CommandError) {
                try image.beginJob(backing: source.procPath)
            } catch {
                engine.images.release(image)
                throw error
            }
            do throws(CommandError) {
                let place = try TargetPlace(
                    named: target,
                    .init(
                        source: engine.source, sourcePath: engine.configuration.source,
                        mountpoint: engine.configuration.mountpoint, image: status,
                        relativePath: path), try TwinBeginning(parameters))
                let twin = try Twin(
                    place, status, named: path, parameters, source: source,
                    opener: engine.opener, faults: engine.faults)
                self.init(
                    image: image, path: path, size: status.size, source: source, twin: twin,
                    parameters: parameters)
            } catch {
                image.endJob()
                engine.images.release(image)
                throw error
            }
        } catch {
            try? source.close()
            throw error
        }
    }

    private static func openImage(
        _ path: FilePath, _ directory: FileDescriptor
    ) throws(CommandError) -> FileDescriptor {
        do throws(Errno) {
            return try directory.openBeneath(path, .readOnly, .nonBlocking)
        } catch {
            throw CommandError(
                .unknownImage,
                "image \(shown(path)): \(error); name a file by its path in the mount")
        }
    }

    private static func status(
        _ source: FileDescriptor, _ path: FilePath
    ) throws(CommandError) -> FileStatus {
        guard let status = try? source.status(), status.kind == .regular else {
            throw CommandError(
                .unknownImage, "image \(shown(path)): not a regular file; name an image")
        }
        return status
    }

    private static func refuseHuge(_ size: UInt64, _ path: FilePath) throws(CommandError) {
        guard size > DirtyTable.limit else { return }
        throw CommandError(
            .notSupported,
            "image \(shown(path)): has \(size) bytes; more than 4 PiB (\(DirtyTable.limit)) cannot be tracked"
        )
    }

    /// `sync=full` means all that the header refers to; what is not built yet is refused, not left out.
    private static func refuseReferences(
        _ source: FileDescriptor, _ path: FilePath
    ) throws(CommandError) {
        let header = ImageHeader { offset, count in source.bytes(at: offset, count: count) }
        guard case .refersTo(let what) = header else { return }
        throw CommandError(
            .notSupported,
            "image \(shown(path)): \(what), and sync=full of several files is not built yet:"
                + " use sync=top, and copy the other files by hand")
    }
}

extension Job {
    /// Attaches the tracker at an instant when no write is under way, then looks up the data extents.
    /// `started` is called on the queue once marks are kept.
    ///
    /// Tracking starts before the extents are looked up: a write that the lookup misses is marked.
    func begin(_ started: @escaping @Sendable () -> Void) {
        wakeSource.setEventHandler { [weak self] in self?.advance() }
        wakeSource.activate()
        let tracker = Tracker(table: table) { [weak self] in self?.wake() }
        image.quiesce(on: queue) { [self] in
            // Ended before it began (the image was deleted): whoever asked is answered all the same (R8).
            if machine.isOver { return started() }
            let size = (try? source.status().size) ?? knownLength
            image.end.reached(size)
            _ = image.end.mayHaveGrown(to: size, since: image.end.begin(), isCertain: true)
            image.trackers.replace(with: image.trackers.all + [tracker])
            _ = table.markLength()
            publishReport()
            started()
            scan()
        }
    }

    /// Marks what the first pass has to copy: the data extents; everything where the target may hold old
    /// bytes in the holes; nothing for a delta.
    private func scan() {
        isClerkBusy = true
        clerk.async { [self] in
            let wanted =
                switch twin.firstPass {
                case .nothing: 0
                case .data: markData()
                case .everything, .compare: markAll()
                }
            queue.async { [self] in
                isClerkBusy = false
                counts.total = wanted
                cursor = firstGranule
                sampleRates()
                perform(machine.handle(.started))
                armTick()
                advance()
            }
        }
    }

    private func markAll() -> Int {
        let size = (try? source.status().size) ?? knownLength
        table.markUncounted(ByteRange(0, size))
        return Int(size)
    }

    /// Bytes of data extents; a filesystem that cannot tell has one that covers all.
    private func markData() -> Int {
        var (offset, total) = (UInt64(0), 0)
        do throws(Errno) {
            while let data = try source.nextData(from: offset) {
                let hole = try source.nextHole(from: data) ?? data
                if hole <= data { break }
                table.markUncounted(ByteRange(data, hole))
                total += Int(hole - data)
                offset = hole
            }
            return total
        } catch {
            return markAll()
        }
    }
}
