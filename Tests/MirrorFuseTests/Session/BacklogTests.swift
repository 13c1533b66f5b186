import MirrorSystem
import Testing

@testable import MirrorFuse

@Suite struct BacklogTests {
    private func add(_ bytes: [UInt8], to backlog: Backlog) -> Bool {
        bytes.withUnsafeBytes { backlog.add($0) }
    }

    private func take(from backlog: Backlog) -> [UInt8]? {
        let memory = PageMemory(count: 64)
        return backlog.take(into: memory.bytes).map { Array(memory.bytes[..<$0]) }
    }

    @Test func `requests come out of a backlog whole and in the order in which they went in`() {
        let backlog = Backlog()
        #expect(backlog.isEmpty && take(from: backlog) == nil)
        for round: UInt8 in 0..<3 {
            for number: UInt8 in 1...20 {
                #expect(add([UInt8](repeating: number, count: Int(number + round)), to: backlog))
            }
            for number: UInt8 in 1...20 {
                #expect(!backlog.isEmpty)
                #expect(take(from: backlog) == .init(repeating: number, count: Int(number + round)))
            }
            #expect(backlog.isEmpty && take(from: backlog) == nil)
        }
    }

    @Test func `a backlog that is never empty stays as large as what waits`() {
        let backlog = Backlog()
        for number in 0..<40 { #expect(add([UInt8(number)], to: backlog)) }
        for number in 0..<20_000 {
            #expect(add([UInt8(truncatingIfNeeded: number + 40)], to: backlog))
            #expect(take(from: backlog) == [UInt8(truncatingIfNeeded: number)])
        }
        #expect(backlog.places < 2500)
    }

    @Test func `so many bytes wait in a backlog and no more, and what was taken makes room`() {
        let backlog = Backlog(most: 100)
        #expect(add(.init(repeating: 1, count: 60), to: backlog))
        #expect(!add(.init(repeating: 2, count: 41), to: backlog))
        #expect(add(.init(repeating: 3, count: 40), to: backlog))
        #expect(take(from: backlog)?.count == 60)
        #expect(add(.init(repeating: 4, count: 41), to: backlog))
        #expect(take(from: backlog) == .init(repeating: 3, count: 40))
    }
}
