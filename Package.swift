// swift-tools-version: 6.2
import PackageDescription

/// Settings of every Swift target: warnings are errors, imports are explicit, Linux's calls are
/// seen.
let house: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .treatAllWarnings(as: .error),
]

/// Without it the headers that Swift reads hide Linux's calls, and clash with our C targets.
let linux: [CSetting] = [.define("_GNU_SOURCE")]

/// Settings of the target that makes no system call: every unsafe line there is marked as such.
let pure: [SwiftSetting] = house + [.strictMemorySafety()]

let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let system: Target.Dependency = .product(name: "SystemPackage", package: "swift-system")
let arguments: Target.Dependency = .product(
    name: "ArgumentParser", package: "swift-argument-parser")
let deque: Target.Dependency = .product(name: "DequeModule", package: "swift-collections")

let package = Package(
    name: "twinfs",
    products: [.executable(name: "twinfs", targets: ["twinfs"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
    ],
    targets: [
        .target(name: "CFuse", cSettings: linux, linkerSettings: [.linkedLibrary("fuse3")]),
        .target(name: "CLinux", cSettings: linux),
        .target(name: "CNBD", cSettings: linux, linkerSettings: [.linkedLibrary("nbd")]),
        .target(
            name: "MirrorCore", dependencies: [deque], cSettings: linux,
            swiftSettings: pure),
        .target(
            name: "MirrorSystem", dependencies: [system, "CLinux"], cSettings: linux,
            swiftSettings: house),
        .target(
            name: "MirrorImage", dependencies: ["MirrorCore", "MirrorSystem", system],
            cSettings: linux, swiftSettings: house),
        .target(
            name: "MirrorTarget", dependencies: ["MirrorCore", "MirrorSystem", system],
            cSettings: linux, swiftSettings: house),
        .target(
            name: "MirrorState",
            dependencies: [
                "MirrorImage", "MirrorTarget", "MirrorCore", "MirrorSystem", logging, system,
            ],
            cSettings: linux, swiftSettings: house),
        .target(
            name: "MirrorJob",
            dependencies: [
                "MirrorImage", "MirrorTarget", "MirrorState", "MirrorCore", "MirrorSystem", logging,
                system,
            ],
            cSettings: linux, swiftSettings: house),
        .target(
            name: "MirrorEngine",
            dependencies: [
                "MirrorImage", "MirrorTarget", "MirrorState", "MirrorJob", "MirrorCore",
                "MirrorSystem", logging, system,
            ],
            cSettings: linux, swiftSettings: house),
        .target(
            name: "MirrorFuse",
            dependencies: [
                "CFuse", "MirrorEngine", "MirrorJob", "MirrorState", "MirrorImage", "MirrorCore",
                "MirrorSystem", logging, system,
            ],
            cSettings: linux,
            swiftSettings: house),
        .target(
            name: "MirrorNBD", dependencies: ["CNBD", "MirrorTarget", "MirrorCore", system],
            cSettings: linux, swiftSettings: house),
        .executableTarget(
            name: "twinfs",
            dependencies: [
                "MirrorFuse", "MirrorNBD", "MirrorEngine", "MirrorJob", "MirrorState",
                "MirrorTarget", "MirrorImage", "MirrorCore", "MirrorSystem", arguments, logging,
                system,
            ],
            cSettings: linux,
            swiftSettings: house),
        .executableTarget(
            name: "mark-benchmark", dependencies: ["MirrorCore"], path: "Tests/MarkBenchmark",
            swiftSettings: house),
        .executableTarget(
            name: "table-victim", dependencies: ["MirrorCore", "MirrorSystem", system],
            path: "Tests/TableVictim", cSettings: linux, swiftSettings: house),
        .target(name: "CSanitizedMutex", path: "Tests/CSanitizedMutex", cSettings: linux),
        .testTarget(
            name: "MirrorCoreTests", dependencies: ["MirrorCore", "CSanitizedMutex"],
            cSettings: linux,
            swiftSettings: house),
        .testTarget(
            name: "MirrorSystemTests", dependencies: ["MirrorSystem", system], cSettings: linux,
            swiftSettings: house),
        .testTarget(
            name: "MirrorEngineTests",
            dependencies: [
                "MirrorEngine", "MirrorJob", "MirrorState", "MirrorTarget", "MirrorImage",
                "MirrorNBD", "MirrorCore", "MirrorSystem", system, logging, "table-victim",
            ],
            cSettings: linux,
            swiftSettings: house),
        .testTarget(
            name: "MirrorFuseTests",
            dependencies: [
                "MirrorEngine", "MirrorJob", "MirrorState", "MirrorTarget", "MirrorImage",
                "MirrorFuse", "MirrorCore", "MirrorSystem", system,
            ],
            cSettings: linux,
            swiftSettings: house),
        .testTarget(
            name: "HouseTests", cSettings: linux,
            swiftSettings: house),
    ]
)
