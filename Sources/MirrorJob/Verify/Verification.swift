import Dispatch
import MirrorCore
import MirrorImage
import MirrorSystem
import MirrorTarget
import Synchronization
import SystemPackage

/// Compares the twins of a job with their images, from the first byte to the last, while guests
/// write.
///
/// A serial queue of its own reads both sides piece by piece. What differs at first sight may be on
/// its way: only what `Suspicion` finds to differ for certain counts.
///
/// `@unchecked Sendable`: every `var` is touched on `queue` only.
package final class Verification: @unchecked Sendable {
    /// What came of it so far, in bytes.
    struct Counts: Sendable {
        var verified = 0
        var mismatched = 0
        var repaired = 0
        /// Differed, and could not be told from what the guest or the copier was writing.
        var unverified = 0
        /// The job has heard of everything.
        var isOver = false
        var error: String?
    }

    /// Something that differs for certain.
    enum Finding: Sendable {
        case bytes(ByteRange)
        case size
    }

    struct Failure: Error { let words: String }

    /// Read at once on each side.
    private static let largestPiece = 1 << 20

    /// Whether what differs is to be copied again.
    let repairs: Bool
    let counts = Mutex(Counts())

    private let members: [Member]
    private let queue: DispatchQueue
    private let suspicion: Suspicion
    private let speed: Atomic<Int>
    private let stopped = Atomic<Bool>(false)
    /// Told on `queue`, in order: what differs, and then the end.
    private let found: @Sendable (Member, Finding, _ bytes: Int) -> Void
    private let done: @Sendable () -> Void

    private var limit = RateLimit(bytesPerSecond: 0)
    private var buffers: UnsafeMutableRawBufferPointer
    private var current = 0
    private var offset: UInt64 = 0

    init(
        _ members: [Member], label: String, speed: Int, repairs: Bool,
        found: @escaping @Sendable (Member, Finding, _ bytes: Int) -> Void,
        done: @escaping @Sendable () -> Void
    ) {
        self.members = members
        self.repairs = repairs
        self.speed = Atomic(speed)
        (self.found, self.done) = (found, done)
        queue = DispatchQueue(label: "twinfs.verify.\(label)", qos: .utility)
        suspicion = Suspicion(label: label)
        buffers = .allocate(byteCount: 2 * Self.largestPiece, alignment: 4096)
    }

    deinit { buffers.deallocate() }

    func start() { queue.async { [self] in step() } }

    /// Ends it before the next piece. Any thread.
    func stop() {
        stopped.store(true, ordering: .relaxed)
        suspicion.stop()
    }

    /// Bytes a second; 0 is no limit. Any thread.
    func setSpeed(_ bytesPerSecond: Int) { speed.store(bytesPerSecond, ordering: .relaxed) }

    /// Any thread.
    func add(to report: inout JobReport) {
        let counts = counts.withLock { $0 }
        report.verifying = !counts.isOver
        (report.verifiedBytes, report.mismatchedBytes) = (counts.verified, counts.mismatched)
        (report.repairedBytes, report.unverifiedBytes) = (counts.repaired, counts.unverified)
        report.verifyError = counts.error
    }
}

// On the queue.

extension Verification {
    private func step() {
        if stopped.load(ordering: .relaxed) {
            return finish("ended before all was compared: the job left ready, or was paused")
        }
        let wanted = speed.load(ordering: .relaxed)
        if limit.bytesPerSecond != wanted { limit.set(wanted) }
        if let wait = limit.wait(at: ContinuousClock.now - .origin) {
            // Looks again after a while, so that a stop is not waited for.
            let milliseconds = min(100, Int(wait / .milliseconds(1)) + 1)
            return queue.asyncAfter(deadline: .now() + .milliseconds(milliseconds)) { [self] in
                step()
            }
        }
        do throws(Failure) {
            guard try compareNext() else { return finish(nil) }
        } catch {
            return finish(error.words)
        }
        queue.async { [self] in step() }
    }

    private func finish(_ error: String?) {
        counts.withLock { $0.error = error }
        done()
    }

    /// Compares the next piece, or a member's size once all of its bytes are compared.
    ///
    /// - Returns: false where everything has been compared.
    private func compareNext() throws(Failure) -> Bool {
        guard current < members.count else { return false }
        let member = members[current]
        let end = try member.sizeToCompare()
        if offset < end {
            let count = min(UInt64(pieceSize), end - offset)
            let compared = try compare(ByteRange(at: offset, count: count), of: member)
            // The image became shorter: its end is looked up again.
            offset += compared
            if compared > 0 { return true }
        }
        try compareSize(of: member)
        (current, offset) = (current + 1, 0)
        return true
    }

    /// A tenth of a second's worth where there is a limit, whole blocks.
    private var pieceSize: Int {
        let tenth = limit.bytesPerSecond / 10 / Suspicion.block * Suspicion.block
        return limit.bytesPerSecond == 0
            ? Self.largestPiece : min(Self.largestPiece, max(Suspicion.block, tenth))
    }

    /// - Returns: how many bytes the image had there.
    private func compare(_ piece: ByteRange, of member: Member) throws(Failure) -> UInt64 {
        limit.spend(Int(piece.count))
        let twin = UnsafeMutableRawBufferPointer(rebasing: buffers[..<Int(piece.count)])
        let source = UnsafeMutableRawBufferPointer(
            rebasing: buffers[Self.largestPiece..<Self.largestPiece + Int(piece.count)])
        try member.readTwin(into: twin, at: piece.lowerBound)
        let count = try member.readSource(into: source, at: piece.lowerBound)
        let (left, right) = (UnsafeRawBufferPointer(twin), UnsafeRawBufferPointer(source))
        if !left.isEqual(to: right, 0..<count) {
            let runs = Suspicion.runs(
                ByteRange(at: piece.lowerBound, count: UInt64(count)),
                unit: Suspicion.unit(member)
            ) { left.isEqual(to: right, $0) }
            for run in runs { try judge(run, member) }
        }
        counts.withLock { $0.verified += count }
        return UInt64(count)
    }

    private func judge(_ run: ByteRange, _ member: Member) throws(Failure) {
        let verdict = try suspicion.judge(run, of: member)
        counts.withLock { $0.unverified += verdict.unverified }
        for range in verdict.different { tell(.bytes(range), member, Int(range.count)) }
    }

    private func compareSize(of member: Member) throws(Failure) {
        guard let difference = try suspicion.judgeSize(of: member) else { return }
        tell(.size, member, Int(clamping: difference))
    }

    private func tell(_ finding: Finding, _ member: Member, _ bytes: Int) {
        counts.withLock { $0.mismatched += bytes }
        found(member, finding, bytes)
    }
}

extension Member {
    fileprivate func sizeToCompare() throws(Verification.Failure) -> UInt64 {
        do throws(Errno) { return try imageSize() } catch { throw sourceFailure(error) }
    }

    func readTwin(
        into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
    ) throws(Verification.Failure) {
        do throws(Errno) { try twin.read(into: buffer, at: offset) } catch {
            throw twinFailure(error)
        }
    }

    func readSource(
        into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
    ) throws(Verification.Failure) -> Int {
        do throws(Errno) { return try bulkSource.readFully(into: buffer, at: offset) } catch {
            throw sourceFailure(error)
        }
    }

    func twinFailure(_ error: Errno) -> Verification.Failure {
        .init(
            words: "reading the twin \(shown(twin.workingPath)) failed: \(error); look at that disk"
        )
    }

    func sourceFailure(_ error: Errno) -> Verification.Failure {
        .init(words: "reading the image \(shown(image.path)) failed: \(error); look at that disk")
    }
}
