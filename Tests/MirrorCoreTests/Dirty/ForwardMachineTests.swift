import MirrorCore
import Testing

/// Every order of the events, at every outcome of both sides.
@Suite struct ForwardMachineTests {
    private typealias Actions = ForwardMachine.Actions

    private enum Step: Equatable, Hashable {
        case source(Bool)
        case target(Bool)
        case abandon

        var event: ForwardMachine.Event {
            switch self {
            case .source(let isGood): .sourceDone(isGood: isGood)
            case .target(let isGood): .targetDone(isGood: isGood)
            case .abandon: .abandon
            }
        }
    }

    /// Both sides once each, and up to two times abandoned, at any place.
    private static let scripts: [[Step]] = {
        var scripts: Set<[Step]> = []
        for source in [Step.source(true), .source(false)] {
            for target in [Step.target(true), .target(false)] {
                for script in [[source, target], [target, source]] {
                    scripts.insert(script)
                    for first in 0...2 {
                        var once = script
                        once.insert(.abandon, at: first)
                        scripts.insert(once)
                        for second in 0...3 {
                            var twice = once
                            twice.insert(.abandon, at: second)
                            scripts.insert(twice)
                        }
                    }
                }
            }
        }
        return Array(scripts)
    }()

    private func run(_ script: [Step]) -> [Actions] {
        var machine = ForwardMachine()
        return script.map { machine.handle($0.event) }
    }

    @Test func `all orders are tried`() {
        // Of each of 8: none; three places for one; and six ways to lay two into three places.
        #expect(Self.scripts.count == 8 * (1 + 3 + 6))
    }

    @Test func `each forward ends once, and its guest is told once, in every order`() {
        for script in Self.scripts {
            let steps = run(script)
            let ends = steps.count { !$0.isDisjoint(with: [.endForward, .failForward]) }
            #expect(ends == 1, "\(script)")
            #expect(steps.count { $0.contains(.tellGuest) } == 1, "\(script)")
            #expect(!steps.contains { $0.isSuperset(of: [.endForward, .failForward]) })
        }
    }

    @Test
    func `nothing ends before both sides are done, nor is marked or told before the source is`() {
        for script in Self.scripts {
            for (index, actions) in run(script).enumerated() {
                let past = script[...index]
                let source = past.contains(.source(true)) || past.contains(.source(false))
                let target = past.contains(.target(true)) || past.contains(.target(false))
                if !source { #expect(actions == [], "\(script)") }
                if !target {
                    #expect(actions.isDisjoint(with: [.endForward, .failForward]), "\(script)")
                }
            }
        }
    }

    @Test func `a forward fails where a side did, or the twin was not waited for`() {
        for script in Self.scripts {
            let steps = run(script)
            let target = script.firstIndex { $0 == .target(true) || $0 == .target(false) }!
            let isLeft = script[..<target].contains(.abandon)
            let isGood = script.contains(.source(true)) && script.contains(.target(true)) && !isLeft
            #expect(steps.contains { $0.contains(.endForward) } == isGood, "\(script)")
            #expect(steps.contains { $0.contains(.failForward) } == !isGood, "\(script)")
        }
    }

    @Test func `an abandoned forward is marked and its guest told once the source is written`() {
        for script in Self.scripts {
            let steps = run(script)
            let source = script.firstIndex { $0 == .source(true) || $0 == .source(false) }!
            let target = script.firstIndex { $0 == .target(true) || $0 == .target(false) }!
            let left = script.firstIndex(of: .abandon).map { max($0, source) }
            for (index, actions) in steps.enumerated() {
                let isMarked = index == left && index < target
                #expect(actions.contains(.mark) == isMarked, "\(script)")
                if isMarked { #expect(actions == [.mark, .tellGuest], "\(script)") }
            }
        }
    }

    @Test func `only a twin that is still waited for can be abandoned`() {
        for script in Self.scripts {
            var machine = ForwardMachine()
            var (isDone, isLeft) = (false, false)
            for step in script {
                #expect(machine.awaitsTarget == (!isDone && !isLeft), "\(script)")
                if step == .abandon, !isDone { isLeft = true }
                if step == .target(true) || step == .target(false) { isDone = true }
                _ = machine.handle(step.event)
                #expect(machine.isAbandoned == isLeft, "\(script)")
            }
        }
    }
}
