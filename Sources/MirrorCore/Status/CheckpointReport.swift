/// The content of `.mirror/checkpoints/IMAGE/NAME`: what changed in an image since a named instant.
public struct CheckpointReport: Codable, Hashable, Sendable {
    /// Bytes from `start` on.
    public struct Extent: Codable, Hashable, Sendable {
        public var start: UInt64
        public var length: UInt64

        public init(start: UInt64, length: UInt64) {
            self.start = start
            self.length = length
        }
    }

    /// The image's path relative to the mount, as `NameText.shown` writes it.
    public var image: String
    /// The name that the instant was given.
    public var checkpoint: String
    /// Seconds since 1970, UTC.
    public var created: Int
    /// Bytes of the unit in which changes are kept.
    public var granularity: Int
    /// Bytes of the image now.
    public var size: UInt64
    /// Ascending and apart from each other.
    public var extents: [Extent]
    /// False where changes may have been missed: everything counts as changed then.
    public var complete: Bool

    public init(
        image: String, checkpoint: String, created: Int, granularity: Int, size: UInt64,
        extents: [Extent], complete: Bool = true
    ) {
        self.image = image
        self.checkpoint = checkpoint
        self.created = created
        self.granularity = granularity
        self.size = size
        self.extents = extents
        self.complete = complete
    }

    /// Bytes that changed.
    public var changed: UInt64 {
        extents.reduce(0) {
            let (sum, overflow) = $0.addingReportingOverflow($1.length)
            return overflow ? .max : sum
        }
    }
}
