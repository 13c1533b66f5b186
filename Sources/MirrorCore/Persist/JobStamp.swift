/// The value of `user.twinfs.job` on a twin: `UUID GENERATION`, of the job that writes it.
public struct JobStamp: Equatable, Sendable {
    public let uuid: String
    public let generation: Int

    public init(uuid: String, generation: Int) { (self.uuid, self.generation) = (uuid, generation) }

    /// What an attribute says; nil where it is not what a job wrote.
    public init?(_ text: String) {
        let words = text.split(separator: " ")
        guard words.count == 2, let generation = Int(words[1]) else { return nil }
        (uuid, self.generation) = (String(words[0]), generation)
    }

    public var text: String { "\(uuid) \(generation)" }

    /// What stands there once the job is over: nobody goes on with it, whatever its record says.
    public static func end(_ uuid: String, _ phase: JobMachine.Phase) -> String {
        "\(uuid) \(phase.rawValue)"
    }
}
