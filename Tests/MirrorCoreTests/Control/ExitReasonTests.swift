import MirrorCore
import Testing

@Test("every exit code has a sentence of its own")
func exitReasons() {
    let meanings = ExitReason.allCases.map(\.meaning)
    #expect(Set(meanings).count == meanings.count)
    #expect(meanings.allSatisfy { $0.hasSuffix(".") })
    #expect(ExitReason.allCases.allSatisfy { (0..<125).contains($0.rawValue) })
}
