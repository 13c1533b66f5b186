/// Sees to it that a job stops before the filesystem of its twin is full: others live there too,
/// and some of them mind more.
///
/// A look at the free space gives a budget: what may be written before the next look has to be
/// done. So looks are seldom while there is plenty, and close together where there is little.
public struct SpaceWatch: Sendable {
    /// What is left free even where all that remains would just fit: more than what is begun
    /// between two looks.
    public static let brim = 4 << 20
    /// A look is good for so long.
    static let interval = Duration.seconds(1)

    /// Below so many free bytes a job stops, unless what remains fits in.
    public let reserve: Int
    private var lastLook: Duration?
    /// `written` up to which no look is needed.
    private var limit = 0
    /// Nothing was written for a while: others may have used the space.
    private var hasRested = false
    /// The user wants to go on with less, until there is enough again.
    private var isWaived = false

    /// - Parameter bufferSize: bytes that may be in flight, and land after the job has stopped.
    public init(bufferSize: Int) { reserve = max(bufferSize, 16 << 20) }

    private func isOld(_ now: Duration) -> Bool {
        lastLook.map { now - $0 >= Self.interval } ?? true
    }

    /// Whether to look now.
    ///
    /// - Parameter written: bytes that the job has begun to write so far.
    public func isDue(at now: Duration, written: Int) -> Bool {
        isOld(now) || !isWaived && written >= limit
    }

    /// Whether nothing may be started before the look is done.
    public func mustWait(at now: Duration, written: Int) -> Bool {
        !isWaived && (written >= limit || hasRested && isOld(now))
    }

    /// A look was done.
    ///
    /// - Parameters:
    ///   - available: free bytes.
    ///   - needed: the most that the twin needs for all that remains.
    ///   - written: as it was when the look began.
    /// - Returns: whether the job has to stop.
    public mutating func looked(
        at now: Duration, available: Int, needed: Int, written: Int
    ) -> Bool {
        (lastLook, hasRested) = (now, false)
        let fits = needed <= available - Self.brim
        let budget = max(available - reserve, fits ? needed : 0, Self.brim / 4)
        let (end, isOver) = written.addingReportingOverflow(budget)
        limit = isOver ? .max : end
        if available >= 2 * reserve { isWaived = false }
        if fits || available >= reserve { return false }
        return !isWaived
    }

    /// Nothing is being written.
    public mutating func rest() { hasRested = true }

    /// The user wants the job to go on: until the space has recovered only a full filesystem stops
    /// it. That it has, perhaps by now, the next look tells, which is due at once.
    public mutating func waive() { (isWaived, lastLook) = (true, nil) }
}
