import Dispatch
import Foundation
import MirrorCore
import MirrorSystem
import Synchronization
import SystemPackage
import Testing

@testable import MirrorEngine
@testable import MirrorImage
@testable import MirrorJob
@testable import MirrorState
@testable import MirrorTarget

/// Guests that open, write, read and close all the time, while the image is switched to and fro.
@Suite struct ServedImagesRaceTests {
    private static let guests = 4
    private static let switches = 30

    @Test func `opens that race with switch-overs write to the file that serves the image`() throws
    {
        let bench = try Bench()
        try bench.makeFile("vm.img", bytes: 4096)
        let handle = try bench.open("vm.img")
        let isOver = Atomic<Bool>(false)
        let written = Mutex<[Int]>([Int](repeating: 0, count: Self.guests))
        let group = DispatchGroup()
        for number in 0..<Self.guests {
            DispatchQueue(label: "guest\(number)").async(group: group) {
                var count = 0
                while !isOver.load(ordering: .relaxed) {
                    count += 1
                    guard Self.visit(bench, number, count) else {
                        Issue.record("guest \(number) lost its write \(count)")
                        break
                    }
                }
                written.withLock { $0[number] = count }
            }
        }
        for round in 0..<Self.switches { try switchOver(bench, handle, round) }
        isOver.store(true, ordering: .relaxed)
        group.wait()
        let final = handle.content
        for (number, count) in written.withLock({ $0 }).enumerated() {
            #expect(count > 0 && Self.read(final, number) == count)
        }
        let next = try bench.open("vm.img", O_RDONLY, in: bench.remounted())
        #expect(next.content == final)
        bench.engine.serving.finishSaving()
        // The twin's handle, lock and backing; what the next mount has open.
        withExtendedLifetime((handle, next)) {
            #expect(descriptors(below: bench.target) <= 5)
        }
    }

    /// One open: what the last one wrote is there, and the next number is written over it.
    private static func visit(_ bench: Bench, _ number: Int, _ count: Int) -> Bool {
        guard let handle = try? bench.open("vm.img", count % 2 == 0 ? O_RDWR : O_RDWR | O_DSYNC),
            count == 1 || read(handle.content, number) == count - 1
        else { return false }
        let bytes = withUnsafeBytes(of: count.littleEndian) { Array($0) }
        guard case .done(8) = handle.guest.write(bytes, at: UInt64(number) * 512) else {
            return false
        }
        return read(handle.content, number) == count
    }

    private static func read(_ content: [UInt8], _ number: Int) -> Int {
        content[(number * 512)...].prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
    }

    /// What a job does: holds, copies, switches, lifts. Two twins, then home.
    private func switchOver(_ bench: Bench, _ handle: TestHandle, _ round: Int) throws {
        let image = handle.image
        let holder = HeldNode(try FileDescriptor.openNode(at: bench.source))
        let idle = DispatchSemaphore(value: 0)
        image.gate.hold(by: holder) { idle.signal() }
        defer { image.lift(by: holder) }
        while !image.gate.gauge.isIdle { idle.wait() }
        let move =
            round % 3 == 2
            ? try bench.home(handle, "vm.img") : try bench.twin(handle, "twin\(round % 3).img")
        try bench.switchOver([move])
    }
}
