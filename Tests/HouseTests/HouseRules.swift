import Testing

/// What the five targets between MirrorSystem and MirrorFuse may import beside each other.
private let effects: Set<String> = [
    "Dispatch", "MirrorCore", "MirrorSystem", "SystemPackage", "Synchronization",
]
private let recording: Set<String> = effects.union(["Logging", "FoundationEssentials"])

/// The table of the design, section 2: which target may import what.
private let mayImport: [String: Set<String>] = [
    "CFuse": [],
    "CLinux": [],
    "MirrorCore": [
        "Swift", "Synchronization", "DequeModule", "BitCollections", "OrderedCollections",
    ],
    "MirrorSystem": ["SystemPackage", "CLinux", "Glibc", "Synchronization"],
    "MirrorImage": effects,
    "MirrorTarget": effects,
    "MirrorState": recording.union(["MirrorImage", "MirrorTarget"]),
    "MirrorJob": recording.union(["MirrorImage", "MirrorTarget", "MirrorState"]),
    "MirrorEngine": recording.union(["MirrorImage", "MirrorTarget", "MirrorState", "MirrorJob"]),
    "MirrorFuse": [
        "CFuse", "MirrorEngine", "MirrorJob", "MirrorState", "MirrorImage", "MirrorCore",
        "MirrorSystem", "SystemPackage", "Logging", "Synchronization",
    ],
    "CNBD": [],
    "MirrorNBD": [
        "CNBD", "Dispatch", "MirrorTarget", "MirrorCore", "SystemPackage", "Synchronization",
    ],
    "twinfs": [
        "ArgumentParser", "Dispatch", "MirrorNBD", "MirrorFuse", "MirrorEngine", "MirrorJob",
        "MirrorState", "MirrorTarget", "MirrorImage", "MirrorCore", "MirrorSystem", "SystemPackage",
        "Logging", "FoundationEssentials", "Synchronization",
    ],
]

@Suite("House rules")
struct HouseRules {
    @Test("an import is found in every form in which it can be written")
    func importForms() {
        let source = """
            import A
            public import B
            @preconcurrency import C
            @preconcurrency public import struct D.Thing
            internal import E; private import F
            @_spi(Some thing) @testable package import G.Submodule
                fileprivate   import   H // import no
            // import no
            /* import no
            import no */ import I
            let important = 1
            """
        #expect(importedModules(in: source) == ["A", "B", "C", "D", "E", "F", "G", "H", "I"])
    }

    @Test("every target stands in the table of imports")
    func targetsAreKnown() throws {
        let targets = try Repository.targets()
        #expect(targets.filter { mayImport[$0] == nil } == [])
        #expect(targets.contains("MirrorCore"), "the Sources folder was not found")
    }

    @Test("a target imports only what the table allows", arguments: mayImport.keys.sorted())
    func imports(target: String) throws {
        let allowed = mayImport[target] ?? []
        for file in Repository.swiftFiles(of: target) {
            for module in importedModules(in: try Repository.text(file)) {
                #expect(allowed.contains(module), "\(file) imports \(module)")
            }
        }
    }

    @Test("no two targets may import each other, nor in a circle")
    func noCircle() {
        var left = mayImport.mapValues { $0.filter { mayImport[$0] != nil } }
        // What imports none of those that are left goes, until nothing is left or nothing can go.
        while let lowest = left.first(where: { $0.value.isDisjoint(with: left.keys) })?.key {
            left[lowest] = nil
        }
        #expect(left.keys.sorted() == [])
    }

    @Test("no target is called Utils, Common or Helpers")
    func names() throws {
        let declared = try Repository.text("Package.swift").matches(
            of: /[tT]arget\(\s*name:\s*"([^"]+)"/
        ).map { String($0.output.1) }
        #expect(declared.isEmpty == false)
        for name in try declared + Repository.targets() {
            let name = name.lowercased()
            for word in ["util", "common", "helper", "misc", "shared"] {
                #expect(!name.contains(word), "a target is called \(name)")
            }
        }
    }

    @Test("the top level holds what the design lists, and dot files")
    func topLevel() throws {
        let allowed: Set<String> = [
            "Package.swift", "Sources", "Tests", "mount-helpers", "docs", "README.md",
        ]
        let found = Set(try Repository.trackedFiles().map { $0.prefix { $0 != "/" } })
        #expect(found.filter { !$0.hasPrefix(".") && !allowed.contains(String($0)) } == [])
    }

    @Test("no Swift file of the product is longer than 300 lines")
    func lengths() throws {
        for file in try Repository.targets().flatMap(Repository.swiftFiles) {
            let lines =
                try Repository.text(file).split(
                    separator: "\n", omittingEmptySubsequences: false
                ).count - 1
            #expect(lines <= 300, "\(file) has \(lines) lines")
        }
    }
}
