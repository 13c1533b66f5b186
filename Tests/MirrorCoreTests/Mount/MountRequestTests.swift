import MirrorCore
import Testing

@Suite("Options of a mount")
struct MountRequestTests {
    func parse(_ lists: String...) throws -> MountRequest {
        try MountRequest(parsing: lists.map { Array($0.utf8) })
    }

    @Test("without options nothing is asked for")
    func empty() throws {
        let request = try parse()
        #expect(
            request.target == nil && request.stateDirectory == nil && !request.auto
                && !request.allowOther && !request.isReadOnly)
        #expect(try parse("") == request && parse("defaults,rw") == request)
    }

    @Test("every option of the mount arrives")
    func own() throws {
        let request = try parse(
            "target=/backup,include=*.img,include=*.qcow2,exclude=tmp/*,auto=on",
            "allow_other,ro,control_group=kvm,log=/var/log/t,debug,statedir=/s")
        #expect(request.target == Array("/backup".utf8))
        #expect(request.include == ["*.img", "*.qcow2"] && request.exclude == ["tmp/*"])
        #expect(request.auto && request.allowOther && request.isReadOnly && request.isDebugging)
        #expect(request.stateDirectory == Array("/s".utf8))
        #expect(request.controlGroup == "kvm" && request.log == Array("/var/log/t".utf8))
    }

    @Test("parameters of jobs are checked and passed on")
    func parameters() throws {
        let request = try parse("target=/backup,speed=10M,sync=top,sync")
        #expect(request.parameters.speed == 10 << 20 && request.parameters.sync == .top)
        #expect(request.kernelFlags == ["sync"])
    }

    @Test("a comma in a value can be written")
    func commas() throws {
        #expect(try parse("target=/a\\,b").target == Array("/a,b".utf8))
        #expect(try parse("target=\"/a,b\",ro").target == Array("/a,b".utf8))
    }

    @Test(
        "what mount(8) and fstab add is accepted",
        arguments: [
            "rw", "nosuid,nodev,noexec", "relatime", "noatime", "nofail", "_netdev", "noauto",
            "user",
            "x-systemd.automount", "x-gvfs-name=a", "defaults", "auto", "dev", "suid", "exec",
        ])
    func generic(options: String) throws { _ = try parse(options) }

    @Test(
        "mistakes in the options of a mount have their own error",
        arguments: [
            ("nonsense", CommandError.Code.unknownKey), ("nonsense=1", .unknownKey),
            ("auto=yes,target=/b", .badValue), ("log=x", .badValue), ("target=b", .badValue),
            ("target=/b,speed=x", .badValue), ("target=/b,sync=incremental", .badValue),
            ("statedir=x", .badValue), ("statedir=", .badValue), ("include=a", .badValue),
            ("auto=on", .badValue),
            ("control_group=", .badValue), ("target=nbd://h/x", .badValue),
        ])
    func mistakes(options: String, code: CommandError.Code) {
        let error = #expect(throws: CommandError.self) { try parse(options) }
        #expect(error?.code == code)
    }
}
