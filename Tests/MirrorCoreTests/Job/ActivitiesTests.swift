import Testing

@testable import MirrorCore

@Suite struct ActivitiesTests {
    /// Those during which a question is answered with no, by what each of them means on its own.
    private func refusals(_ question: (Activities) -> Bool) -> Set<Activity> {
        Set(
            Activity.allCases.filter { activity in
                var activities = Activities()
                #expect(question(activities), "nothing is under way")
                activities.enter(activity)
                return !question(activities)
            })
    }

    private let exclusive: Set<Activity> = [.size, .scan, .publish, .worth, .reopen]

    @Test func `still are the twins but for a copy and what the clerk does alone`() {
        #expect(refusals(\.isStill) == exclusive.union([.copy]))
    }

    @Test func `at rest is a copier that nothing will wake`() {
        let still = exclusive.union([.copy])
        let asked = { (isHolding: Bool, awaitsSpace: Bool) in
            refusals { $0.isAtRest(isHolding: isHolding, awaitsSpace: awaitsSpace) }
        }
        #expect(asked(false, false) == still.union([.throttle]))
        #expect(asked(true, false) == still)
        #expect(asked(false, true) == still.union([.throttle, .space]))
        #expect(asked(true, true) == still.union([.space]))
    }

    @Test func `quiet is a job whose twins nobody uses`() {
        let users: Set<Activity> = [.copy, .flush, .verify, .clearIntents]
        #expect(refusals(\.isQuiet) == exclusive.union(users))
    }

    @Test func `a verification is in the way of a cut and of no other agreement`() {
        let still = exclusive.union([.copy])
        #expect(refusals { $0.mayAgree(isEnding: false) } == still)
        #expect(refusals { $0.mayAgree(isEnding: true) } == still.union([.verify]))
    }

    @Test func `a flush is in the way of a hold for a cut and of no other`() {
        #expect(refusals { $0.mayHold(isEnding: false) } == [])
        #expect(refusals { $0.mayHold(isEnding: true) } == [.flush])
    }

    @Test func `each activity excludes what it has to and nothing else`() {
        for activity in Activity.allCases {
            let expected: Set<Activity> =
                switch activity {
                case .copy, .reopen, .worth: exclusive
                case .clearIntents: [.flush, .clearIntents]
                case .flush, .verify, .space, .throttle: [activity]
                case .size, .scan, .publish, .switchOver: []
                }
            #expect(refusals { $0.mayBegin(activity) } == expected, "\(activity)")
        }
    }

    @Test func `an activity is over when as many have ended as had begun`() {
        for activity in Activity.allCases {
            var activities = Activities()
            activities.enter(activity)
            activities.enter(activity)
            activities.leave(activity)
            #expect(activities.has(activity))
            activities.leave(activity)
            #expect(Activity.allCases.allSatisfy { !activities.has($0) })
        }
    }

    @Test func `a copier that waits for a limit is copying`() {
        let copying = Activity.allCases.filter { activity in
            var activities = Activities()
            activities.enter(activity)
            return activities.isCopying
        }
        #expect(copying == [.copy, .throttle])
    }
}
