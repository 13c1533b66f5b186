import MirrorCore

/// What the changes of an image ask of a write-intent log. Whoever has it keeps the log alive.
struct IntentGate: Sendable {
    let bits: IntentBits
    /// Makes the bits of a range durable, then calls back, on any thread. Never blocks.
    let request: @Sendable (ByteRange, _ done: @escaping @Sendable () -> Void) -> Void
}
