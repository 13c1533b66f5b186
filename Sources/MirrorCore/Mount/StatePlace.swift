/// Where a mount keeps what must outlive its daemon.
public enum StatePlace {
    /// The usual directory: `/var/lib/twinfs/ID` for root, `$XDG_STATE_HOME/twinfs/ID` or
    /// `~/.local/state/twinfs/ID` for others; nil for one who has no home.
    ///
    /// A path in the environment that is not absolute does not count, as the XDG Base Directory
    /// Specification asks.
    ///
    /// - Parameters:
    ///   - id: of the mount, from `MountID`.
    ///   - stateHome: `XDG_STATE_HOME`.
    ///   - home: `HOME`, or what the user database says.
    public static func usual(
        _ id: String, isRoot: Bool, stateHome: String?, home: String?
    ) -> String? {
        if isRoot { return "/var/lib/twinfs/" + id }
        if let stateHome, stateHome.hasPrefix("/") { return stateHome + "/twinfs/" + id }
        if let home, home.hasPrefix("/") { return home + "/.local/state/twinfs/" + id }
        return nil
    }
}
