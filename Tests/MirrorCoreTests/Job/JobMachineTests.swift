import Testing

@testable import MirrorCore

/// Every sequence of six events from the start, and what must hold after each step of each.
@Suite struct JobMachineTests {
    private typealias Machine = JobMachine

    private static let events: [Machine.Event] =
        [false, true].flatMap { agrees in
            [false, true].map { affordable in
                .observed(.init(agrees: agrees, passDone: true, affordable: affordable))
            }
        } + [
            .holdExpired, .flushed, .published, .pause, .resume, .end(.soft), .end(.now),
            .failed(.target, isFull: true), .failed(.target, isFull: false),
            .failed(.source, isFull: false),
        ]

    /// What the shell would have done so far.
    private struct World {
        var isHeld = false
        var isFlushing = false
        var isPublishing = false
        var hasFinished = false
        var hasFlushedSinceAgreement = false
    }

    @Test
    func
        `whatever happens, holds are lifted, the end comes once, and nothing is claimed too early`()
    {
        var machine = Machine(JobParameters())
        var world = World()
        step(&machine, &world, .started)
        explore(machine, world, depth: 6)
    }

    private func explore(_ machine: Machine, _ world: World, depth: Int) {
        if depth == 0 { return }
        for event in Self.events where isPossible(event, world) {
            var (machine, world) = (machine, world)
            step(&machine, &world, event)
            explore(machine, world, depth: depth - 1)
        }
    }

    /// The clerk answers only what it was asked.
    private func isPossible(_ event: Machine.Event, _ world: World) -> Bool {
        switch event {
        case .flushed: world.isFlushing
        case .published: world.isPublishing
        default: true
        }
    }

    private func step(_ machine: inout Machine, _ world: inout World, _ event: Machine.Event) {
        let (before, wasOver) = (machine, machine.isOver)
        if case .flushed = event {
            (world.isFlushing, world.hasFlushedSinceAgreement) = (false, true)
        }
        if case .published = event { world.isPublishing = false }
        // A failure of the target ends what the clerk was doing there.
        if case .failed(.target, _) = event {
            (world.isFlushing, world.isPublishing) = (false, false)
        }
        for action in machine.handle(event) {
            if wasOver { Issue.record("an action after the end") }
            perform(action, &world)
        }
        check(before, machine, world, event)
    }

    private func perform(_ action: Machine.Action, _ world: inout World) {
        switch action {
        case .hold:
            if world.isHeld { Issue.record("held twice") }
            world.isHeld = true
        case .lift: world.isHeld = false
        case .flush: (world.isFlushing, world.hasFlushedSinceAgreement) = (true, false)
        case .publish:
            if !world.hasFlushedSinceAgreement { Issue.record("published before the flush") }
            world.isPublishing = true
        case .finish:
            if world.hasFinished { Issue.record("finished twice") }
            world.hasFinished = true
        case .announce, .announceError, .copy: break
        }
    }

    private func check(
        _ before: Machine, _ machine: Machine, _ world: World, _ event: Machine.Event
    ) {
        if machine.isHolding != world.isHeld { Issue.record("the hold is lost after \(event)") }
        if machine.isOver != world.hasFinished { Issue.record("over, not finished: \(event)") }
        if machine.isPaused, world.isHeld { Issue.record("a paused job holds the guest: \(event)") }
        if machine.isOver, world.isHeld { Issue.record("ended while holding: \(event)") }
        if machine.mayCopy, machine.isPaused || machine.isSettling || machine.isOver {
            Issue.record("copies while it must rest: \(event)")
        }
        if machine.phase == .completed, before.phase != .completed {
            if !world.hasFlushedSinceAgreement { Issue.record("completed before it was durable") }
            if before.phase != .completing { Issue.record("completed out of \(before.phase)") }
        }
        if machine.phase == .ready, !machine.wasReady { Issue.record("ready, and never was") }
    }

    @Test func `cancel in bulk ends cancelled, in ready it waits for agreement`() {
        var machine = Machine(JobParameters())
        _ = machine.handle(.started)
        var bulk = machine
        #expect(bulk.handle(.end(.soft)).contains(.finish) && bulk.phase == .cancelled)
        let agreement = Machine.Event.observed(
            .init(agrees: true, passDone: true, affordable: true))
        _ = machine.handle(agreement)
        _ = machine.handle(.flushed)
        _ = machine.handle(.published)
        #expect(machine.phase == .ready)
        #expect(machine.handle(.end(.soft)).contains(.copy) && machine.phase == .completing)
        #expect(machine.handle(agreement) == [.flush])
        #expect(machine.handle(.flushed).contains(.finish) && machine.phase == .completed)
    }

    @Test func `QEMU's words for the phases`() {
        var machine = Machine(JobParameters())
        #expect(machine.status == "created")
        _ = machine.handle(.started)
        #expect(machine.status == "running")
        _ = machine.handle(.pause)
        #expect(machine.status == "paused" && machine.phase == .bulk)
        _ = machine.handle(.resume)
        _ = machine.handle(.failed(.target, isFull: true))
        #expect(machine.isPaused && machine.ioStatus == .nospace)
        _ = machine.handle(.resume)
        #expect(machine.ioStatus == .ok)
        _ = machine.handle(.failed(.source, isFull: false))
        #expect(machine.status == "aborting" && machine.phase == .failed)
    }
}
