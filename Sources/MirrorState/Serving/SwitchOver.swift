import Dispatch
import Logging
package import MirrorCore
import MirrorImage
import MirrorSystem
import MirrorTarget
import Synchronization
import SystemPackage

// Steps 4 and 5 of a cut (docs/invariants.md): the commit record, then the files under the images.

extension ServedImages {
    /// Gives images other files, as `Engine.switchOver` says; the caller keeps them from being
    /// opened.
    package func switchOver(_ moves: [Move]) throws(CommandError) {
        try refuseWithoutState(moves)
        let plan = SwitchPlan(
            generation: change { state in
                state.generation += 1
                return state.generation
            }, time: WallClock.now.seconds)
        var prepared: [PreparedMove] = []
        do throws(CommandError) {
            for move in moves {
                try inWords(move) { () throws(Errno) in
                    let one = try self.plan(move, plan)
                    prepared.append(one)
                    try one.prepare()
                }
            }
            try commit(prepared)
        } catch {
            for move in prepared { move.abandon() }
            throw error
        }
        let marks = prepared.map { move in
            var marks = SettledLabels(move.entry, sourcePath, former: move.former)
            marks.apply(log)
            return (marks, move.record, move.move.image.identity)
        }
        for move in prepared { move.swap() }
        for (_, record, _) in marks { tell(record) }
        // Not while guests wait: the old file may have much to write back.
        marking.async { [self] in
            for (marks, record, identity) in marks { settled(marks, record, identity) }
        }
    }

    private func tell(_ record: ServingRecord) {
        let place = record.twin?.path ?? "its own file"
        log.notice("\(record.image): is served from \(place) (generation \(record.generation))")
    }

    private func refuseWithoutState(_ moves: [Move]) throws(CommandError) {
        let name = shown(moves.first?.image.path ?? "")
        guard directory != nil else {
            throw CommandError(
                .badState,
                "image \(name): cannot be switched, because nothing would remember it: mount with"
                    + " statedir=DIRECTORY, or complete with switch=off")
        }
        if let distrust = state.withLock({ $0.distrust }) {
            throw CommandError(.badState, "image \(name): cannot be switched: \(distrust)")
        }
    }

    private func plan(_ move: Move, _ plan: SwitchPlan) throws(Errno) -> PreparedMove {
        if let entry = state.withLock({ $0.entries[move.image.identity] }) {
            return try PreparedMove(move, plan, home: entry.home, entry: entry)
        }
        return try PreparedMove(move, plan, home: hold(move.image), entry: nil)
    }

    private func inWords(
        _ move: Move, _ body: () throws(Errno) -> Void
    ) throws(CommandError) {
        do throws(Errno) {
            try body()
        } catch {
            throw CommandError(
                .io,
                "image \(shown(move.image.path)): cannot be switched to \(shown(move.twin)): \(error);"
                    + " it goes on on the file that it has")
        }
    }

    /// Holds the image's own file.
    private func hold(_ image: Image) throws(Errno) -> HeldNode {
        let node = HeldNode(try source.openNodeBeneath(image.path))
        guard try node.descriptor.status().identity == image.identity else {
            throw .staleNFSFileHandle
        }
        return node
    }

    /// The one instant.
    private func commit(_ moves: [PreparedMove]) throws(CommandError) {
        for move in moves { move.lookUpPath() }
        let new = moves.map { ($0.move.image, $0.entry) }
        let failure = saving.sync { () -> Errno? in
            do throws(Errno) {
                try save { $0.replace(moves.map(\.replaced), with: new.map(\.1.record)) }
            } catch {
                return error
            }
            change { state in
                for (image, entry) in new { state.entries[image.identity] = entry }
            }
            return nil
        }
        if let failure { throw unsaved(failure) }
        // A rename that came in between has not found the new entries.
        for (image, entry) in new where image.path != entry.record.imagePath {
            renamed(from: entry.record.imagePath, to: image.path)
        }
    }

    private func unsaved(_ error: Errno) -> CommandError {
        let path = shown(directory?.path ?? "")
        return CommandError(
            error == .noSpace ? .noSpace : .notWritable,
            "state directory \(path): cannot be written: \(error); nothing was switched: let the daemon write"
                + " there, or mount with another statedir=")
    }
}

extension ServingFile {
    fileprivate mutating func replace(_ old: [String?], with new: [ServingRecord]) {
        records.removeAll { old.contains($0.id) }
        records += new
    }
}
