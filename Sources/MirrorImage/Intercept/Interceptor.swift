import MirrorCore
public import MirrorSystem
import Synchronization
public import SystemPackage

/// The shim: every change of an image's bytes goes through here, and nowhere else.
///
/// 1. `gate.enter`: counted as under way, or parked while a job cuts.
/// 2. its intent is durable (R11), or it leaves the gate and is parked until that is so; and it is
///    noted as under way, for the worker that comes after this one (`TrackerList.beginChange`)
/// 3. the source is changed, whatever comes of it
/// 4. every granule that the change may have touched is marked, also when it failed (R1, R4)
/// 5. the note is taken back, `gate.leave`; the copiers that slept are woken; only then the caller
///    replies.
///
/// `Image.change` does these steps, for every kind of change (`Change.swift`). A write that a job
/// forwards goes through the same ones, with its twin beside the source (`Forward`); changes that
/// are no writes are in `Interceptor+Changes.swift`. A read changes nothing: it is here because
/// guests come this way.
extension Image {
    /// What became of a change.
    public enum Outcome: Sendable {
        /// Bytes written; 0 for changes that do not count bytes.
        case done(Int)
        case failed(Errno)
        /// A cut holds the image: nothing was done. Keep the request, and pass its retry to
        /// `whenLifted`.
        case held
        /// The write goes to twins too: `Forward.then`, which must be called, tells what became of
        /// it. Only from `write`.
        case forwarded(Forward)

        /// As in `done`; nil where nothing is known to have changed.
        @inline(__always)
        var count: Int? { if case .done(let count) = self { count } else { nil } }

        /// What became of a call that does not count bytes.
        @inline(__always)
        init(of call: () throws(Errno) -> Void) {
            do throws(Errno) {
                try call()
                self = .done(0)
            } catch {
                self = .failed(error)
            }
        }
    }

    /// Reads until `buffer` is full or the image ends; says how many bytes came. Answers by a
    /// value: with `throws` the caller would count references for each read. Corresponds to
    /// `pread(2)`.
    public func read(
        into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64, through path: DataPath
    ) -> Result<Int, Errno> {
        let started = timer.start()
        defer { timer.stop(started, .read(buffer.count)) }
        do throws(Errno) {
            let count = try path.readFully(into: buffer, at: offset)
            return .success(owned(count, at: offset))
        } catch {
            return .failure(error)
        }
    }

    /// Whether `readPages` is worth trying.
    public var givesPages: Bool { pagesMayGo.load(ordering: .relaxed) }

    /// Reads into a pipe. False if not all bytes are in it, whatever the reason: `read` tells
    /// it.
    public func readPages(
        _ count: Int, into pipe: PagePipe, at offset: UInt64, through path: DataPath
    ) -> Bool {
        let started = timer.start()
        guard path.readPages(count, at: offset, into: pipe), owned(count, at: offset) == count
        else { return false }
        timer.stop(started, .read(count))
        return true
    }

    /// Writes `data` at `offset` of the source through the handle's own descriptors, which carry
    /// its O_SYNC or O_DSYNC. Corresponds to `pwrite(2)`.
    ///
    /// - Parameter mayStay: whether this thread may wait for a twin, in `Forward.then`. Not one
    ///   that others need.
    public func write(
        _ data: UnsafeRawBufferPointer, at offset: UInt64, through path: DataPath,
        mayStay: Bool = true
    ) -> Outcome {
        let change = Change.write(ByteRange(at: offset, count: UInt64(data.count)))
        return self.change(
            change, bounded: { writeBounded(data, at: offset, $0, through: path) },
            instead: {
                guard trackers.forwards else { return nil }
                let forward = Forward(self, change, path)
                forward.begin(data, mayStay: mayStay)
                return .forwarded(forward)
            },
            act: { writeSource(data, at: offset, through: path) })
    }

    /// The write of the source, and nothing else; timed where a job wants to know.
    @inline(__always)
    func writeSource(
        _ data: UnsafeRawBufferPointer, at offset: UInt64, through path: DataPath
    ) -> Outcome {
        let started = timer.start()
        defer { timer.stop(started, .write(data.count)) }
        do throws(Errno) {
            return .done(try path.writeSome(data, at: offset))
        } catch {
            return .failed(error)
        }
    }

    /// Runs `retry` when what answered `.held` is over, a hold or the wait for an intent; at once
    /// where it is already.
    public func whenLifted(_ retry: @escaping @Sendable () -> Void) {
        if !intentWaits.park(retry) { gate.park(retry) }
    }
}
