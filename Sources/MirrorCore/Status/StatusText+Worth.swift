extension StatusText {
    /// What a twin is worth, in words that stand after "the twin is".
    public static func worth(_ job: JobReport) -> String {
        guard let time = job.inSyncTime else { return job.targetState.rawValue }
        return "\(job.targetState.rawValue): it equals the image as of \(date(time))"
    }

    /// Of when an outdated twin is; nil for every other one.
    static func pastState(_ job: JobReport, now: Int?) -> String? {
        guard job.targetState == .outdated, let time = job.inSyncTime else { return nil }
        let age = now.map {
            " (\(duration($0.subtractingReportingOverflow(time).partialValue)) ago)"
        }
        return "twin outdated: equals the image as of \(date(time))\(age ?? ""), on stable storage"
    }

    /// `2026-11-29 05:40:12 UTC`, from seconds since 1970.
    static func date(_ seconds: Int) -> String {
        let (day, second) = (floored(seconds, 86400), seconds - floored(seconds, 86400) * 86400)
        let (year, month, dayOfMonth) = civil(day)
        let time = [second / 3600, second / 60 % 60, second % 60].map(twoDigits)
        return
            "\(year)-\(twoDigits(month))-\(twoDigits(dayOfMonth)) \(time.joined(separator: ":")) UTC"
    }

    /// Days since 1970 as a date of the Gregorian calendar. Years begin in March here, so that the
    /// day that a leap year has more is the last one, and eras of 400 years are equally long.
    private static func civil(_ days: Int) -> (year: Int, month: Int, day: Int) {
        // 719,468 days from March 1 of the year 0 to 1970.
        let shifted = days + 719_468
        let era = floored(shifted, 146_097)
        let ofEra = shifted - era * 146_097
        let yearOfEra = (ofEra - ofEra / 1460 + ofEra / 36_524 - ofEra / 146_096) / 365
        let ofYear = ofEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        // Five months from March on have 153 days.
        let monthFromMarch = (5 * ofYear + 2) / 153
        let day = ofYear - (153 * monthFromMarch + 2) / 5 + 1
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
    }

    private static func floored(_ number: Int, _ divisor: Int) -> Int {
        number >= 0 ? number / divisor : -((-(number + 1)) / divisor) - 1
    }

    private static func twoDigits(_ number: Int) -> String {
        number < 10 ? "0\(number)" : "\(number)"
    }
}
