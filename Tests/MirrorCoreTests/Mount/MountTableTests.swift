import Testing

@testable import MirrorCore

@Suite("The kernel's table of mounts")
struct MountTableTests {
    let table = MountTable(
        Array(
            #"""
            22 1 8:1 / / rw - ext4 /dev/sda1 rw
            30 22 0:50 / /mnt/images rw,nosuid shared:1 - fuse.twinfs /srv/images rw
            31 30 8:2 / /mnt/images/deep rw - xfs /dev/sdb rw
            32 22 0:50 /sub /bind rw - fuse.twinfs /srv/images rw
            33 22 0:51 / /mnt/a\040b rw - fuse.twinfs /srv/a\134b rw
            34 22 0:52 / /over rw - fuse.twinfs /over rw
            35 34 0:53 / /over rw - tmpfs none rw
            nonsense
            """#.utf8))

    func place(_ path: String) -> MountTable.Place? { table.place(of: Array(path.utf8)) }

    func expected(_ mountpoint: String, _ path: String) -> MountTable.Place {
        .init(mountpoint: Array(mountpoint.utf8), path: Array(path.utf8))
    }

    @Test("a path leads to its mount and its name there")
    func places() {
        #expect(place("/mnt/images/a/vm1.img") == expected("/mnt/images", "a/vm1.img"))
        #expect(place("/mnt/images") == expected("/mnt/images", ""))
        #expect(place("/mnt/a b/x") == expected("/mnt/a b", "x"))
    }

    @Test("a bind mount leads to the mount that it was made from")
    func bind() {
        #expect(place("/bind/x") == expected("/mnt/images", "sub/x"))
        #expect(place("/bind") == expected("/mnt/images", "sub"))
    }

    @Test(
        "what another filesystem serves is not ours",
        arguments: ["/", "/mnt", "/mnt/images2/x", "/mnt/images/deep/x", "/over/x"])
    func others(path: String) { #expect(place(path) == nil) }

    @Test("every visible mount of ours is listed once")
    func list() {
        let points = table.twinfs.map { String(decoding: $0.mountpoint, as: UTF8.self) }
        #expect(points == ["/mnt/images", "/mnt/a b"])
        #expect(table.twinfs[1].source == Array("/srv/a\\b".utf8))
    }
}
