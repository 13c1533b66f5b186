import MirrorCore
import Testing

/// When `copy-mode=auto` forwards.
@Suite struct CopyModeControlTests {
    private static let mebibyte = 1 << 20

    /// A sample at a second; a cut can afford 1 MiB.
    private func sample(
        _ second: Int, remaining: Int, guest: Double = 100, copy: Double = 50
    ) -> CopyModeControl.Sample {
        .init(
            now: .seconds(second), remaining: remaining, affordable: Self.mebibyte,
            guestRate: guest * Double(Self.mebibyte), copyRate: copy * Double(Self.mebibyte))
    }

    /// One that forwards since the second 0.
    private func forwarding() -> CopyModeControl {
        var control = CopyModeControl()
        control.cutFailed(at: .zero)
        return control
    }

    @Test func `a remainder that shrinks is left to the copier, however fast the guest is`() {
        var control = CopyModeControl()
        var remaining = 1 << 30
        for second in 0..<100 {
            control.take(sample(second, remaining: remaining))
            #expect(!control.forwards)
            remaining -= remaining / 20
        }
    }

    @Test func `a guest whose remainder has not shrunk for three seconds is forwarded`() {
        var control = CopyModeControl()
        for second in 0..<3 {
            control.take(sample(second, remaining: 100 * Self.mebibyte))
            #expect(!control.forwards)
        }
        control.take(sample(3, remaining: 100 * Self.mebibyte))
        #expect(control.forwards)
    }

    @Test func `a remainder a hundredth less has not shrunk, nor has one that falls after a rise`()
    {
        var creeping = CopyModeControl()
        var rising = CopyModeControl()
        for second in 0..<4 {
            creeping.take(sample(second, remaining: (100_000 - 500 * second) * 1000))
            rising.take(sample(second, remaining: [50, 90, 80, 60][second] * Self.mebibyte))
        }
        #expect(creeping.forwards && rising.forwards)
    }

    @Test func `a remainder that a cut can afford is never forwarded for`() {
        var control = CopyModeControl()
        for second in 0..<100 {
            control.take(sample(second, remaining: Self.mebibyte))
            #expect(!control.forwards)
        }
        // The three seconds count from the last time that it was so little.
        control.take(sample(101, remaining: 2 * Self.mebibyte))
        #expect(!control.forwards)
        control.take(sample(102, remaining: 2 * Self.mebibyte))
        #expect(control.forwards)
    }

    @Test func `after a cut that took too long there is no more waiting`() {
        #expect(forwarding().forwards)
    }

    @Test func `forwarding ends for an idle guest though the copier was never measured`() {
        var control = forwarding()
        control.take(sample(6, remaining: 0, guest: 1, copy: 0))
        #expect(control.forwards)
        control.take(sample(7, remaining: 0, guest: 0, copy: 0))
        #expect(!control.forwards)
    }

    @Test func `forwarding ends once the copier could keep up alone, and not within five seconds`()
    {
        var control = forwarding()
        control.take(sample(4, remaining: 0, guest: 10))
        #expect(control.forwards)
        control.take(sample(5, remaining: 0, guest: 25))
        #expect(control.forwards, "half of what the copier can is too much")
        control.take(sample(6, remaining: 2 * Self.mebibyte, guest: 10))
        #expect(control.forwards, "there is more left than a cut affords")
        control.take(sample(7, remaining: Self.mebibyte, guest: 24))
        #expect(!control.forwards)
    }

    @Test func `after an abandoned forward none is sent for ten seconds`() {
        var control = forwarding()
        control.abandoned(at: .seconds(1))
        #expect(!control.forwards)
        control.cutFailed(at: .seconds(10))
        #expect(!control.forwards)
        for second in 1...10 {
            control.take(sample(second, remaining: 100 * Self.mebibyte))
            #expect(!control.forwards)
        }
        control.take(sample(11, remaining: 100 * Self.mebibyte))
        #expect(control.forwards)
    }

    /// A look at an eighth of a second; so much was copied before, and a cut can afford 1 MiB.
    private func look(_ eighth: Int, copied: Int, remaining: Int) -> CopyModeControl.Measurement {
        .init(
            now: .milliseconds(125 * eighth), copied: copied * Self.mebibyte,
            remaining: remaining * Self.mebibyte, affordable: Self.mebibyte)
    }

    @Test func `where the copy comes first, two looks decide whether it shrinks by half`() {
        var (good, bad) = (CopyModeControl(), CopyModeControl())
        for eighth in 0..<8 {
            good.take(look(eighth, copied: 10 * eighth, remaining: 200 - 5 * eighth))
            #expect(!good.forwards)
            bad.take(look(eighth, copied: 10 * eighth, remaining: 200 - 4 * eighth))
            #expect(bad.forwards == (eighth >= 2))
        }
    }

    @Test func `one bad look, a target that stands still and what a cut affords are passed over`() {
        var control = CopyModeControl()
        let (copied, remaining) = ([0, 5, 10, 10, 10, 15, 20], [90, 89, 84, 90, 95, 94, 89])
        for eighth in 0..<7 {
            control.take(look(eighth, copied: copied[eighth], remaining: remaining[eighth]))
            #expect(!control.forwards, "\(eighth)")
        }
        var affordable = CopyModeControl()
        for eighth in 0..<80 {
            affordable.take(look(eighth, copied: 10 * eighth, remaining: 1))
            #expect(!affordable.forwards)
        }
    }

    @Test func `looks that ended begin anew, and an abandoned forward holds for them too`() {
        var control = CopyModeControl()
        control.take(look(0, copied: 0, remaining: 90))
        control.take(look(1, copied: 10, remaining: 90))
        control.endLooks()
        control.take(look(2, copied: 20, remaining: 90))
        control.take(look(3, copied: 30, remaining: 90))
        #expect(!control.forwards)
        control.abandoned(at: .milliseconds(400))
        for eighth in 4..<80 {
            control.take(look(eighth, copied: 10 * eighth, remaining: 90))
            #expect(!control.forwards)
        }
    }

    /// The guest of the test below, where the copy comes first.
    @Test(arguments: [1.0, 20, 24, 30, 50, 60, 200, 5000], [64.0, 1024])
    func `where the copy comes first no guest makes it last half as long again`(
        guest: Double, size: Double
    ) {
        var control = CopyModeControl()
        let copy = 50.0 / 8
        var (remaining, eighth) = (size, 0)
        while remaining > 8 * copy * 0.15, eighth < 100_000 {
            let clean = size - remaining
            let dirtied = control.forwards ? 0 : min(clean, guest / 8 * clean / size)
            remaining = max(0, min(size, remaining + dirtied - copy))
            eighth += 1
            control.take(
                .init(
                    now: .milliseconds(125 * eighth),
                    copied: Int(copy * Double(eighth) * Double(Self.mebibyte)),
                    remaining: Int(remaining * Double(Self.mebibyte)),
                    affordable: Int(8 * copy * 0.15 * Double(Self.mebibyte))))
        }
        #expect(eighth < Int(size / copy * 1.5) + 4, "\(guest) MiB/s, \(size) MiB: \(eighth)")
    }

    /// A guest that dirties an image at random and a copier: however their speeds are to each
    /// other, the remainder gets small enough for a cut.
    @Test(arguments: [1.0, 20, 45, 50, 60, 200, 5000], [64.0, 1024])
    func `every guest is brought to a cut`(guest: Double, size: Double) {
        var control = CopyModeControl()
        let copy = 50.0
        var remaining = size
        var second = 0
        while remaining > copy * 0.15, second < 10_000 {
            let clean = size - remaining
            // Forwarded, only what is dirty already gets dirty again.
            let dirtied = control.forwards ? 0 : min(clean, guest * clean / size)
            remaining = max(0, min(size, remaining + dirtied - copy))
            second += 1
            let affordable = Int(copy * 0.15 * Double(Self.mebibyte))
            control.take(
                .init(
                    now: .seconds(second), remaining: Int(remaining * Double(Self.mebibyte)),
                    affordable: affordable, guestRate: guest * Double(Self.mebibyte),
                    copyRate: copy * Double(Self.mebibyte)))
        }
        #expect(second < Int(size / copy) * 10 + 60, "\(guest) MiB/s, \(size) MiB: \(second) s")
    }
}
