import Foundation
import MirrorCore
import MirrorSystem
import SystemPackage
import Testing

@testable import MirrorEngine
@testable import MirrorImage
@testable import MirrorJob
@testable import MirrorState
@testable import MirrorTarget

/// No job may write to what a switched image lives on, though nobody has it open.
@Suite struct ServedTargetTests {
    let bench: Bench
    let twin: FilePath

    /// `vm.img` is served from its twin, and its virtual machine is off.
    init() throws {
        bench = try Bench()
        twin = bench.target.appending("vm.img")
        try bench.makeFile("vm.img", bytes: 50_000)
        try bench.makeFile("other.img", bytes: 60_000)
        let handle = try bench.open("vm.img")
        try bench.switchOver([bench.twin(handle, "vm.img")])
    }

    /// Expects that every way of taking the target is refused, with words that name the image.
    private func expectRefusal(
        _ target: FilePath, of images: [String] = ["other.img", "vm.img"],
        in engine: Engine? = nil
    ) {
        for image in images {
            for more in ["", " existing=replace", " existing=reuse", " sync=none seed=asserted"] {
                let result = bench.command("mirror \(image) target=\(target)\(more)", in: engine)
                let isRefused =
                    result.text.hasPrefix("error target-busy")
                    && result.text.contains("vm.img is served from it")
                #expect(isRefused, "\(image)\(more): \(result.text)")
            }
        }
    }

    @Test func `the file that serves an image is refused, whatever it is called`() throws {
        let before = bench.bytes(twin)
        expectRefusal(twin)
        let link = bench.target.appending("link.img")
        try FileManager.default.linkItem(atPath: twin.string, toPath: link.string)
        expectRefusal(link)
        // As on a filesystem that keeps no attributes.
        let node = try FileDescriptor.openNode(at: twin)
        try node.removeNodeAttribute("user.twinfs.serving")
        try node.close()
        expectRefusal(link)
        let isSame = bench.bytes(twin) == before
        let isSameFile = try twin.status().identity == link.status().identity
        #expect(isSame && isSameFile)
    }

    @Test func `a twin that cannot be reached keeps its name`() throws {
        let aside = bench.target.appending("aside")
        try twin.replace(aside)
        let next = bench.remounted()
        #expect(!next.serving.warnings.isEmpty)
        expectRefusal(twin, of: ["other.img"], in: next)
        // By what it says of itself it is found under any name.
        expectRefusal(aside, of: ["other.img"], in: next)
        #expect((try? twin.status()) == nil)
        // So it is where the image is not found either.
        try bench.source.appending("vm.img").replace(bench.root.appending("gone"))
        let later = bench.remounted()
        let result = bench.command("mirror other.img target=\(twin)", in: later)
        #expect(result.text.contains("vm.img is served from it"), "\(result.text)")
    }

    @Test func `another mount's file is refused, by its marks alone`() throws {
        let stranger = bench.remounted(state: bench.root.appending("elsewhere"))
        for name in ["replace", "reuse"] {
            let result = bench.command(
                "mirror other.img target=\(twin) existing=\(name)", in: stranger)
            #expect(result.text.contains("setfattr -x user.twinfs.serving"), "\(result.text)")
        }
        let target = try TargetBench()
        try target.put("home.img", Data([1]))
        let node = try FileDescriptor.openNode(at: target.path("home.img"))
        defer { try? node.close() }
        try node.mark(superseded: SupersededLabel(id: "ab", generation: 3, place: "/far/vm.img"))
        for existing in [JobParameters.Existing.replace, .reuse] {
            let error = refusal { _ = try target.twin("home.img") { $0.existing = existing } }
            #expect(error?.code == .exists && error?.message.contains("/far/vm.img") == true)
        }
        #expect(target.names == ["home.img"] && target.bytes("home.img") == Data([1]))
    }

    @Test func `what an image left behind is a twin for it again, and for no other`() throws {
        let handle = try bench.open("vm.img")
        try bench.switchOver([bench.twin(handle, "third.img")])
        try bench.switchOver([bench.home(handle, "vm.img")])
        let third = bench.target.appending("third.img")
        for place in [twin, third] {
            let other = bench.command("mirror other.img target=\(place) existing=reuse")
            #expect(other.text.hasPrefix("error exists"), "\(other.text)")
            let own = bench.command("mirror vm.img target=\(place) existing=reuse")
            #expect(own.errno == nil, "\(own.text)")
            let id = place == twin ? "vm.img" : "vm.img#2"
            bench.becomes(id, .ready)
            bench.does("cancel \(id)")
            bench.becomes(id, .completed)
        }
    }
}
