import MirrorCore
import Testing

@Test("a JSON string escapes what JSON forbids, and nothing else")
func jsonStrings() {
    #expect(JSONText.string("a\"\\\n\u{1}é/") == #""a\"\\\u000a\u0001é/""#)
    #expect(JSONText.object(["ok": "true", "a\"": "1"]) == #"{"ok": true, "a\"": 1}"#)
}
