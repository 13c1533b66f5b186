import Testing

@testable import MirrorEngine
@testable import MirrorImage
@testable import MirrorJob
@testable import MirrorState
@testable import MirrorTarget

@Suite struct TwinSpeedTests {
    @Test func `a twin is slow when its writes are, not when some of them meet a busy moment`() {
        let speed = TwinSpeed()
        #expect(speed.isFast)
        for index in 0..<1000 { speed.took(index % 4 == 0 ? 5_000 : 5_000_000) }
        #expect(speed.isFast)
        for _ in 0..<1000 { speed.took(101_000) }
        #expect(!speed.isFast)
        for _ in 0..<16 { speed.took(5_000) }
        #expect(speed.isFast)
    }
}
