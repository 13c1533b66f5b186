import MirrorCore
import Testing

@Suite("Where state is kept")
struct StatePlaceTests {
    @Test("root's state is in /var/lib, whatever the environment says")
    func root() {
        let place = StatePlace.usual("i-1", isRoot: true, stateHome: "/x", home: "/root")
        #expect(place == "/var/lib/twinfs/i-1")
    }

    @Test(
        "another user's state is in the state home, else in the home, else nowhere",
        arguments: [
            ("/x", "/home/u", "/x/twinfs/i-1"), (nil, "/home/u", "/home/u/.local/state/twinfs/i-1"),
            ("", "/home/u", "/home/u/.local/state/twinfs/i-1"),
            ("x", "/home/u", "/home/u/.local/state/twinfs/i-1"), ("/x", nil, "/x/twinfs/i-1"),
            (nil, "", nil), (nil, nil, nil),
        ])
    func user(stateHome: String?, home: String?, place: String?) {
        #expect(
            StatePlace.usual("i-1", isRoot: false, stateHome: stateHome, home: home) == place)
    }
}
