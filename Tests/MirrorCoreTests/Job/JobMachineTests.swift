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
            .end(.switchOver), .switched(true), .switched(false), .preCutDone(true),
            .preCutDone(false), .flushSeen, .flushWaitOver, .retry, .recovered,
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
        var isSwitching = false
        var hasSwitched = false
        var preCuts = 0
        var isFrozen = false
        var isAwaitingFlush = false
        var isBackingOff = false
    }

    /// With and without what may precede a cut, and with errors passed over.
    @Test(arguments: [0, 1, 2, 3, 4])
    func
        `whatever happens, holds are lifted, the end comes once, and nothing is claimed too early`(
            kind: Int
        )
    {
        var parameters = JobParameters()
        if kind == 1 || kind == 3 { parameters.preCut = Array("/bin/true".utf8) }
        if kind == 2 || kind == 3 { parameters.cut = .flush }
        if kind == 4 { (parameters.onTargetError, parameters.maxRetries) = (.ignore, 1) }
        var machine = Machine(parameters)
        var world = World()
        step(&machine, &world, .started)
        explore(machine, world, depth: 4)
        // And from ready on, where the cuts are.
        step(&machine, &world, .observed(.init(agrees: true, passDone: true, affordable: true)))
        step(&machine, &world, .flushed)
        step(&machine, &world, .published)
        for ending in [Machine.Ending.soft, .switchOver] {
            var (machine, world) = (machine, world)
            step(&machine, &world, .end(ending))
            explore(machine, world, depth: ending == .soft ? 4 : 5)
        }
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
        case .switched: world.isSwitching
        case .preCutDone: world.preCuts > 0
        case .flushSeen, .flushWaitOver: world.isAwaitingFlush
        case .retry: world.isBackingOff
        default: true
        }
    }

    private func step(_ machine: inout Machine, _ world: inout World, _ event: Machine.Event) {
        let (before, wasOver) = (machine, machine.isOver)
        if case .flushed = event {
            (world.isFlushing, world.hasFlushedSinceAgreement) = (false, true)
        }
        if case .published = event { world.isPublishing = false }
        if case .retry = event { world.isBackingOff = false }
        if case .flushSeen = event { world.isAwaitingFlush = false }
        if case .flushWaitOver = event { world.isAwaitingFlush = false }
        if case .preCutDone = event {
            world.preCuts -= 1
            world.isFrozen = true
        }
        if case .switched(let isDone) = event {
            (world.isSwitching, world.hasSwitched) = (false, isDone)
        }
        // A failure of the target ends what the clerk was doing there.
        if case .failed(.target, _) = event {
            (world.isFlushing, world.isPublishing) = (false, false)
        }
        for action in machine.handle(event) {
            if wasOver, action != .postCut { Issue.record("an action after the end") }
            perform(action, &world)
        }
        check(before, machine, world, event)
    }

    private func perform(_ action: Machine.Action, _ world: inout World) {
        switch action {
        case .hold:
            if world.isHeld { Issue.record("held twice") }
            world.isHeld = true
        case .lift: (world.isHeld, world.isAwaitingFlush) = (false, false)
        case .preCut: world.preCuts += 1
        case .postCut: world.isFrozen = false
        case .awaitFlush: world.isAwaitingFlush = true
        case .switchOver:
            if !world.isHeld { Issue.record("switched over while the guest writes") }
            if !world.hasFlushedSinceAgreement { Issue.record("switched over before the flush") }
            world.isSwitching = true
        case .backOff: world.isBackingOff = true
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
        if world.isSwitching, !world.isHeld { Issue.record("the hold ended in a switch-over") }
        if world.isFrozen, machine.isOver || machine.isPaused {
            Issue.record("left frozen: \(event)")
        }
        if machine.isHolding != world.isHeld { Issue.record("the hold is lost after \(event)") }
        if machine.isOver != world.hasFinished { Issue.record("over, not finished: \(event)") }
        if machine.isPaused, world.isHeld { Issue.record("a paused job holds the guest: \(event)") }
        if machine.isOver, world.isHeld { Issue.record("ended while holding: \(event)") }
        if machine.mayCopy, machine.isPaused || machine.isSettling || machine.isOver {
            Issue.record("copies while it must rest: \(event)")
        }
        if machine.phase == .completed, before.phase != .completed {
            if !world.hasFlushedSinceAgreement { Issue.record("completed before it was durable") }
            if before.ending == .switchOver, !world.hasSwitched {
                Issue.record("completed without the switch-over")
            }
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
        #expect(machine.status == .created)
        _ = machine.handle(.started)
        #expect(machine.status == .running)
        _ = machine.handle(.pause)
        #expect(machine.status == .paused && machine.phase == .bulk)
        _ = machine.handle(.resume)
        _ = machine.handle(.failed(.target, isFull: true))
        #expect(machine.isPaused && machine.ioStatus == .nospace)
        _ = machine.handle(.resume)
        #expect(machine.ioStatus == .ok)
        _ = machine.handle(.failed(.source, isFull: false))
        #expect(machine.status == .concluded && machine.phase == .failed)
    }
}
