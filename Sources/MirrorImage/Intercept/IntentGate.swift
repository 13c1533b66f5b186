package import MirrorCore

/// What the changes of an image ask of a write-intent log. Whoever has it keeps the log alive.
package struct IntentGate: Sendable {
    package let bits: IntentBits
    /// Makes the bits of a range durable, then calls back, on any thread. Never blocks.
    package let request: @Sendable (ByteRange, _ done: @escaping @Sendable () -> Void) -> Void

    package init(
        bits: IntentBits,
        request: @escaping @Sendable (ByteRange, _ done: @escaping @Sendable () -> Void) -> Void
    ) {
        (self.bits, self.request) = (bits, request)
    }
}
