import Dispatch
import MirrorCore
import MirrorImage
import MirrorSystem
import MirrorTarget
import Synchronization
import SystemPackage

/// Finds out whether bytes that differed at first sight differ for certain, while guests write and
/// the copier copies (docs/invariants.md has the argument).
///
/// 1. The granules are watched, and are neither dirty nor claimed nor forwarded.
/// 2. The twin is read.
/// 3. At an instant when no change of the image is under way, the source is read: a few kilobytes
///    that were read a moment ago. The target is not touched while guests wait.
/// 4. The granules are still clean, and were left alone since 1: the twin still has what was read.
///
/// On the verification's queue, but `stop`.
final class Suspicion: Sendable {
    /// Most that is read while guests wait, and what pieces are made of. In one shard, as it
    /// divides it.
    static let block = 64 << 10
    /// How often something that moves is looked at again.
    private static let attempts = 100

    /// Apart from the verification's queue, which waits for it.
    private let moments: DispatchQueue
    private let stopped = Atomic<Bool>(false)

    struct Verdict: Sendable {
        var different: [ByteRange] = []
        var unverified = 0
    }

    init(label: String) {
        moments = DispatchQueue(label: "twinfs.compare.\(label)", qos: .userInitiated)
    }

    func stop() { stopped.store(true, ordering: .relaxed) }

    /// What counts as different as a whole: a granule, or a part of a large one.
    static func unit(_ member: Member) -> Int { min(block, member.table.granularity.bytes) }

    /// The units of `range` that are not equal, neighbours of one block as one. `isEqual` is asked
    /// about bytes counted from the start of `range`.
    static func runs(
        _ range: ByteRange, unit: Int, isEqual: (Range<Int>) -> Bool
    ) -> [ByteRange] {
        var runs: [ByteRange] = []
        var start = range.lowerBound
        while start < range.upperBound {
            let end = min(range.upperBound, (start / UInt64(unit) + 1) * UInt64(unit))
            let local = Int(start - range.lowerBound)..<Int(end - range.lowerBound)
            if !isEqual(local) {
                if let last = runs.last, last.upperBound == start, start % UInt64(block) != 0 {
                    runs[runs.count - 1] = ByteRange(last.lowerBound, end)
                } else {
                    runs.append(ByteRange(start, end))
                }
            }
            start = end
        }
        return runs
    }

    /// The bytes of a run that differ for certain. Dirty ones are not judged: the copier will come.
    func judge(_ run: ByteRange, of member: Member) throws(Verification.Failure) -> Verdict {
        if let different = try differences(in: run, of: member) {
            return Verdict(different: different)
        }
        let unit = Self.unit(member)
        guard run.count > UInt64(unit) else { return Verdict(unverified: Int(run.count)) }
        var verdict = Verdict()
        for part in Self.runs(run, unit: unit, isEqual: { _ in false }).flatMap({ split($0, unit) })
        {
            if let different = try differences(in: part, of: member) {
                verdict.different += different
            } else {
                verdict.unverified += Int(part.count)
            }
        }
        return verdict
    }

    private func split(_ run: ByteRange, _ unit: Int) -> [ByteRange] {
        stride(from: run.lowerBound, to: run.upperBound, by: unit).map {
            ByteRange($0, min(run.upperBound, $0 + UInt64(unit)))
        }
    }

    /// The units that differ; nil where that cannot be told.
    private func differences(
        in run: ByteRange, of member: Member
    ) throws(Verification.Failure) -> [ByteRange]? {
        for _ in 0..<Self.attempts where !stopped.load(ordering: .relaxed) {
            switch try attempt(run, member) {
            case .differs(let ranges): return ranges
            case .dirty: return nil
            case .moving: PlainThread.sleep(.milliseconds(1))
            }
        }
        return nil
    }
}

extension Suspicion {
    private enum Outcome: Sendable {
        case differs([ByteRange])
        case dirty
        case moving
    }

    private func attempt(
        _ run: ByteRange, _ member: Member
    ) throws(Verification.Failure) -> Outcome {
        // A size that the twin is given later is noted later.
        member.lowestResize.store(.max, ordering: .sequentiallyConsistent)
        let isResizing = member.resizes.load(ordering: .sequentiallyConsistent) % 2 == 1
        let state = member.table.beginWatch(run)
        defer { member.table.endWatch(run) }
        switch state {
        case .dirty: return .dirty
        case .moving: return .moving
        case .still: break
        }
        if isResizing { return .moving }
        let twin = Page(count: Int(run.count))
        try member.readTwin(into: twin.bytes, at: run.lowerBound)
        // Most is equal by now: then nobody has to wait.
        let ranges = try compare(twin, run, member)
        if ranges.isEmpty { return .differs([]) }
        return try whileQuiet(member) { () throws(Verification.Failure) in
            let lowest = member.lowestResize.load(ordering: .sequentiallyConsistent)
            guard member.table.watched(run) == .still, lowest >= run.upperBound,
                // A device has old bytes where the image has just grown.
                !(member.twin.hasFixedSize && member.table.isLengthDirty)
            else { return .moving }
            return .differs(try self.compare(twin, run, member))
        }
    }

    private func compare(
        _ twin: Page, _ run: ByteRange, _ member: Member
    ) throws(Verification.Failure) -> [ByteRange] {
        let source = Page(count: Int(run.count))
        let count = try member.readSource(into: source.bytes, at: run.lowerBound)
        let (left, right) = (UnsafeRawBufferPointer(twin.bytes), source.bytes)
        return Self.runs(
            ByteRange(at: run.lowerBound, count: UInt64(count)), unit: Self.unit(member)
        ) { left.isEqual(to: UnsafeRawBufferPointer(right), $0) }
    }

    /// By how many bytes the sizes differ for certain; nil where they do not, where the twin's is
    /// fixed, and where it is being changed all the time.
    func judgeSize(of member: Member) throws(Verification.Failure) -> UInt64? {
        if member.twin.hasFixedSize { return nil }
        for _ in 0..<Self.attempts where !stopped.load(ordering: .relaxed) {
            let resizes = member.resizes.load(ordering: .sequentiallyConsistent)
            let twin: UInt64
            do throws(Errno) { twin = try member.twin.size() } catch {
                throw member.twinFailure(error)
            }
            if resizes % 2 == 0, twin == (try? member.imageSize()) { return nil }
            let difference = try whileQuiet(member) { () throws(Verification.Failure) -> UInt64? in
                let now = member.resizes.load(ordering: .sequentiallyConsistent)
                guard resizes % 2 == 0, now == resizes, member.table.isClean,
                    let image = try? member.imageSize()
                else { return nil }
                return max(image, twin) - min(image, twin)
            }
            if let difference { return difference == 0 ? nil : difference }
            PlainThread.sleep(.milliseconds(1))
        }
        return nil
    }

    /// What `body` answers at an instant when no change of the image is under way. It must be
    /// short.
    private func whileQuiet<Answer: Sendable>(
        _ member: Member, _ body: @escaping @Sendable () throws(Verification.Failure) -> Answer
    ) throws(Verification.Failure) -> Answer {
        let (answer, done) = (Answered<Answer>(), DispatchSemaphore(value: 0))
        member.image.quiesce(on: moments) {
            let result: Result<Answer, Verification.Failure>
            do throws(Verification.Failure) { result = .success(try body()) } catch {
                result = .failure(error)
            }
            answer.result.withLock { $0 = result }
            done.signal()
        }
        done.wait()
        return try answer.result.withLock { $0! }.get()
    }
}

/// Written on one queue, read on the one that waits for it.
private final class Answered<Answer: Sendable>: Sendable {
    let result = Mutex<Result<Answer, Verification.Failure>?>(nil)
}

/// Memory for bytes that are compared.
///
/// `@unchecked Sendable`: whoever reads it waits for whoever wrote it.
private final class Page: @unchecked Sendable {
    let bytes: UnsafeMutableRawBufferPointer

    init(count: Int) { bytes = .allocate(byteCount: count, alignment: 4096) }

    deinit { bytes.deallocate() }
}
