import Testing

/// Pairs of files of one target that know each other both ways, by why that is right.
private let pairsByReason: [String: [String]] = [
    "A job owns its parts, and each part asks the job for what all share.": [
        "Farewell.swift - Job.swift", "Forwarding.swift - Job.swift",
        "Job.swift - JobTelling.swift",
        "Job.swift - Comeback.swift", "Copier.swift - Job.swift", "Job.swift - Trouble.swift",
        "Job.swift - Standing.swift", "Job.swift - Verifying.swift", "CutAttempt.swift - Job.swift",
        "IntentCare.swift - Job.swift", "TwinFlush.swift - Job.swift",
    ],
    "A type, and an aspect of it that has a file and a value of its own.": [
        "Copier+Pace.swift - Copier.swift", "Copier+Gather.swift - Copier.swift",
        "Copier+Space.swift - Copier.swift", "TwinFlush+Guests.swift - TwinFlush.swift",
        "EventLog+Process.swift - EventLog.swift", "IntentLog+Commit.swift - IntentLog.swift",
        "Metrics+Jobs.swift - Metrics.swift", "ImageHeader+Vmdk.swift - ImageHeader.swift",
        "HeaderReader.swift - ImageHeader.swift", "Engine+Process.swift - Engine.swift",
        "Session+Init.swift - Session.swift", "Session.swift - StallWatch.swift",
        "Demo+Steps.swift - DemoCommand.swift", "ClaimLocks.swift - DirtyTable+Watch.swift",
        "Parameter.swift - ParameterKey.swift", "JobMachine.swift - JobWords.swift",
        "Change.swift - Interceptor.swift",
    ],
    "One structure in memory or on disk, a file for each of its layers.": [
        "DirtyTable.swift - SharedMarks.swift", "DirtyCounters.swift - DirtyTable.swift",
        "SharedMarks.swift - TableMemory.swift", "SharedMarks.swift - UnderWay.swift",
        "HandleRecords.swift - SessionMemory.swift", "NodeRecords.swift - SessionMemory.swift",
        "RequestJournal.swift - SessionMemory.swift", "IntentFile.swift - IntentLog.swift",
        "Heartbeat.swift - IntentLog.swift",
    ],
    "Who has something done, and who does it and calls back once.": [
        "Copier.swift - Lane.swift", "Forward.swift - Forwarder.swift",
        "Suspicion.swift - Verification.swift", "Resumption.swift - TwinReturn.swift",
        "Image.swift - FlushWatches.swift", "Image.swift - TwinFlushes.swift",
        "Image.swift - IntentWaits.swift", "Checkpoint.swift - MemberPlan.swift",
        "OrderlyEnd.swift - WorkerProcess.swift", "Files.swift - Reply.swift",
        "Mounted.swift - TimeLimit.swift",
    ],
]
private let knownPairs = Set(pairsByReason.values.joined())

/// Types whose properties are rows of something that is flat by its nature.
private let flatRecords: [String: String] = [
    "JobReport": "a property per key of a job in status.json",
    "JobParameters": "a property per parameter of a job",
]

/// How crowded a room may be: a type, and two files that know each other.
@Suite("Rooms")
struct RoomRules {
    static let mostProperties = 20

    private static func files(of target: String) throws -> [SourceText] {
        try Repository.swiftFiles(of: target).map {
            SourceText(path: $0, text: try Repository.text($0))
        }
    }

    @Test("no type has more than 20 stored properties")
    func properties() throws {
        for file in try Repository.targets().flatMap(Self.files) {
            for type in file.declarations where flatRecords[type.name] == nil {
                let count = type.storedProperties.count
                #expect(
                    count <= Self.mostProperties, "\(file.path): \(type.name) has \(count) of them")
            }
        }
    }

    @Test("two files of a target know each other both ways only where that is listed")
    func pairs() throws {
        var found: Set<String> = []
        for target in try Repository.targets() {
            found.formUnion(FileGraph(try Self.files(of: target)).mutualPairs)
        }
        #expect(
            found.subtracting(knownPairs) == [], "new: let one of the two not know the other")
        #expect(knownPairs.subtracting(found) == [], "gone: take them off the list")
    }

    @Test("no line of a comment ends behind column 100")
    func commentWidth() throws {
        let files = try Repository.trackedFiles().filter { $0.hasSuffix(".swift") }
        #expect(files.count > 300)
        for file in files {
            for (index, line) in try Repository.text(file).split(
                separator: "\n", omittingEmptySubsequences: false
            ).enumerated() where line.count > 100 && line.contains("//") {
                let isComment = line.drop { $0 == " " }.hasPrefix("//")
                #expect(!isComment, "\(file):\(index + 1) has \(line.count) columns")
            }
        }
    }
}

/// What the rules above rest on: that files are read rightly.
@Suite("Source text")
struct SourceTextTests {
    private func properties(_ text: String) -> [String] {
        SourceText(path: "", text: text).declarations.flatMap(\.storedProperties)
    }

    @Test("a stored property is found in every form, and nothing else is taken for one")
    func storedProperties() {
        let text = """
            @MainActor final class A: B {
                let a: Int, b = 2
                private(set) lazy var c = make { $0 }
                @Wrapped(x: 1) var d: [Int] = []
                let (e, f): (Int, Int)
                var g: Int { didSet { } }
                var computed: Int { 1 }
                var alsoComputed: Int {
                    let local = 1
                    return local
                }
                static let shared = A()
                // let comment = 1
                /* var comment = 2 */
                let h = "{ let text = 1"
                func f() { let local = 2 }
                init(
                    let_: Int,
                    x: Int
                ) {}
                struct Inner { }
                let i = 3
            }
            extension A { var computed: Int { 2 } }
            """
        #expect(properties(text) == ["a", "b", "c", "d", "e", "f", "g", "h", "i"])
    }

    @Test("a 21st property is counted")
    func count() {
        let lines = (0...RoomRules.mostProperties).map { "    let p\($0): Int" }
        let text = "struct S {\n" + lines.joined(separator: "\n") + "\n}\n"
        #expect(properties(text).count == RoomRules.mostProperties + 1)
    }

    @Test("files that know each other are a pair, also by a nested type; others are none")
    func pairs() {
        let files = [
            SourceText(path: "T/A.swift", text: "struct A {\n    enum Own {}\n    let b: B\n}"),
            SourceText(path: "T/B.swift", text: "final class B { func f(_: Own) {} }"),
            SourceText(
                path: "T/C.swift", text: "struct C { let a: A } // B\nextension A { var d = \"D\" }"
            ),
            SourceText(path: "T/D.swift", text: "struct D { let c: C }"),
        ]
        #expect(FileGraph(files).mutualPairs == ["A.swift - B.swift"])
    }
}
