// What is asked for: one case is one session id (or job id, for pages), one writer and one document.
using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;

public class Case {
  public Guid Id;
  // session, reference, tasks, page, error or logon: what to call and what to compare.
  public string Kind, Writer, Value;
  public object Document;
  public int Status = 200;
  // How many of the first answers break off, and after which share of the document.
  public int Broken;
  public double After;
  public Written Written;
  public int Asked;
}

public static class Cases {
  static int number;
  static readonly DateTime Begin = new DateTime(2025, 10, 7, 20, 0, 2, DateTimeKind.Utc);

  static Guid NextId() {
    return new Guid(++number, 0, 0x4000, 0x80, 0, 0, 0, 0, 0, 0, 1);
  }

  public static List<Case> All() {
    var all = new List<Case>();
    foreach (var writer in Writers.All.Keys) {
      Func<string, string, object, Case> add = (kind, value, document) => {
        var id = document is Resource ? Id((Resource)document) : NextId();
        foreach (var task in (document as ReplicaTaskSessions)?.Items ?? new List<ReplicaTaskSession>())
          task.JobSessionUid = "urn:veeam:ReplicaJobSession:" + id;
        var page = document as QueryResult;
        foreach (var session in page?.Entities.ReplicaJobSessions ?? new List<ReplicaJobSession>())
          session.JobUid = "urn:veeam:Job:" + id;
        var added = new Case { Id = id, Kind = kind, Writer = writer, Value = value, Document = document };
        added.Written = Writers.Write(writer, document);
        all.Add(added);
        return added;
      };
      // A document that is not in UTF-8 is refused, whatever is in it.
      var isRead = !Writers.NotUtf8.Contains(writer);
      var writable = new List<KeyValuePair<string, string>>();
      foreach (var text in Texts().Take(isRead ? 1000 : 5)) {
        if (add("session", text.Key, Session(text.Value)).Written.Threw == null) writable.Add(text);
        add("reference", text.Key, Reference(text.Value));
      }
      foreach (var time in Times().Take(isRead ? 1000 : 1)) add("session", time.Key, Timed(time.Value));
      foreach (var other in Others().Take(isRead ? 1000 : 1)) add("session", other.Key, other.Value);

      add("tasks", "a task for each text", Tasks(writable));
      add("tasks", "null", NullTasks());
      add("page", "a session for each text", Page(writable));
      add("page", "no session", Page(new List<KeyValuePair<string, string>>()));

      foreach (var text in new[] { "none", "a\0", "a\0b", "\u0001\uFFFE", "a\r\nb", "\"<&>'", "\U0001F600" }) {
        var message = text == "none" ? null : text;
        var quoted = string.Concat((message ?? "null").Select(Quoted));
        foreach (var status in new[] { 404, 403, 400, 501 })
          add("error", "Error " + status + " " + quoted, Error(message, status)).Status = status;
        add("error", "Error 404 in a 200 " + quoted, Error(message, 404));
      }
      var unknown = "There is no backup task with id [X] in current rest session\0";
      add("error", "Error 500 about an unknown id, with U+0000", Error(unknown, 500)).Status = 500;
      add("logon", "logon", Session("a"));

      // A handler that fails half way: .NET's HttpListener completes the answer.
      var few = writable.Take(5).ToList();
      foreach (var after in new[] { 0.0, 0.5 }) {
        var name = after == 0 ? "nothing" : "half";
        foreach (var times in new[] { 1, 1000 }) {
          var how = times == 1 ? " once" : " each time";
          foreach (var document in new object[] { Session("a"), Tasks(few), Page(few) }) {
            var kind = document is QueryResult ? "page" : document is ReplicaTaskSessions ? "tasks" : "session";
            var broken = add(kind, name + how, document);
            broken.Broken = times;
            broken.After = after;
          }
        }
      }
      // An exception while a property is read, and a writer that `using` closes.
      var single = Session("a");
      single.Fails = true;
      add("session", "a property throws", single);
      var tasks = Tasks(few);
      tasks.Items[2].Fails = true;
      add("tasks", "a property of the third throws", tasks);
      var list = Page(few);
      list.Entities.ReplicaJobSessions[2].Fails = true;
      add("page", "a property of the third throws", list);
    }
    // Retried, so a few are enough.
    foreach (var writer in new[] { "XmlDictionaryWriter", "XmlTextWriter" }) {
      var reason = "reason of " + writer;
      var fault = new Fault { Code = new Code { Value = "Receiver" }, Reason = new Reason { Text = reason } };
      all.Add(new Case {
        Id = NextId(), Kind = "error", Writer = writer, Value = "Fault 500", Status = 500,
        Written = Writers.Write(writer, fault),
      });
      all.Add(new Case {
        Id = NextId(), Kind = "error", Writer = writer, Value = "Error 500", Status = 500,
        Written = Writers.Write(writer, Error("message of " + writer + "\0", 500)),
      });
    }
    return all;
  }

  static string Quoted(char c) {
    return c < 33 || c > 126 ? "\\u" + ((int)c).ToString("x4") : c.ToString();
  }

  static Guid Id(Resource resource) {
    return new Guid(resource.UID.Substring(resource.UID.LastIndexOf(':') + 1));
  }

  // Each character that is special to .NET or to XML, and what XML does with white space.
  static IEnumerable<KeyValuePair<string, string>> Texts() {
    var codes = Enumerable.Range(0, 32).Concat(new[] { 0x7F, 0x85, 0xA0, 0xE9, 0x2028, 0xFEFF, 0xFFFD, 0xFFFE, 0xFFFF });
    foreach (var code in codes) yield return Text("U+" + code.ToString("X4"), "a" + (char)code + "b");
    yield return Text("U+0000 at both ends", "\0a\0");
    yield return Text("lone high surrogate", "a\uD800b");
    yield return Text("lone low surrogate", "a\uDC00b");
    yield return Text("U+1F600", "a\U0001F600b");
    yield return Text("U+10FFFF", "a\U0010FFFFb");
    yield return Text("null", null);
    yield return Text("empty", "");
    yield return Text("blanks", "   ");
    yield return Text("blanks at both ends", "  a  b  ");
    yield return Text("CR LF", "a\r\nb");
    yield return Text("LF CR, and at both ends", "\na\n\rb\r");
    yield return Text("tabs at both ends", "\ta\tb\t");
    yield return Text("markup", "<a href=\"x\">&amp;'</a> ]]> <!-- -->");
    yield return Text("what looks like references", "&#x0; &#0; _x0000_");
    yield return Text("all control characters", string.Concat(Enumerable.Range(0, 32).Select(code => (char)code)));
    yield return Text("2000 characters", string.Concat(Enumerable.Repeat("a\u00E9\U0001F600 b\\[@]", 200)));
  }

  static KeyValuePair<string, string> Text(string name, string text) {
    return new KeyValuePair<string, string>(name, text);
  }

  // Each kind of time with 0 to 7 digits, the ends of the calendar, and the hour that is there twice.
  static IEnumerable<KeyValuePair<string, DateTime>> Times() {
    long[] fractions = { 0, 5000000, 4200000, 4770000, 8795000, 8795990, 1234560, 1234567, 1 };
    foreach (DateTimeKind kind in Enum.GetValues(typeof(DateTimeKind))) {
      var times = fractions.Select(ticks => new DateTime(2025, 10, 7, 20, 0, 2).AddTicks(ticks)).Concat(new[] {
        new DateTime(2025, 1, 7, 20, 0, 2), DateTime.MinValue, DateTime.MaxValue,
        new DateTime(1753, 1, 1), new DateTime(1900, 1, 1), new DateTime(1970, 1, 1),
      });
      foreach (var time in times) {
        var name = time.ToString("yyyy-MM-ddTHH:mm:ss.FFFFFFF ", CultureInfo.InvariantCulture) + kind;
        yield return new KeyValuePair<string, DateTime>(name, DateTime.SpecifyKind(time, kind));
      }
    }
    // Only a time that comes from UTC knows which of the two it is.
    foreach (var hour in new[] { 0, 1 }) {
      var time = new DateTime(2025, 10, 26, hour, 30, 0, DateTimeKind.Utc).ToLocalTime();
      yield return new KeyValuePair<string, DateTime>("the hour that is there twice, from UTC " + hour + ":30", time);
    }
  }

  static IEnumerable<KeyValuePair<string, ReplicaJobSession>> Others() {
    Func<string, Action<ReplicaJobSession>, KeyValuePair<string, ReplicaJobSession>> with = (name, set) => {
      var session = Session("a");
      set(session);
      return new KeyValuePair<string, ReplicaJobSession>(name, session);
    };
    yield return with("State Working, Result None, no EndTimeUTC", s => {
      s.State = "Working";
      s.Result = "None";
      s.EndTimeUTCSpecified = false;
    });
    yield return with("EndTimeUTC nil", s => s.EndTimeUTC = null);
    yield return with("CreationTimeUTC nil", s => s.CreationTimeUTC = null);
    yield return with("Progress nil", s => s.Progress = null);
    yield return with("Progress 0, IsRetry true", s => { s.Progress = 0; s.IsRetry = true; });
    yield return with("Progress -2147483648", s => s.Progress = int.MinValue);
    yield return with("Progress 2147483647", s => s.Progress = int.MaxValue);
    yield return with("IsRetry nil", s => s.IsRetry = null);
    yield return with("State and Result null", s => s.State = s.Result = null);
    yield return with("State and Result empty", s => s.State = s.Result = "");
    yield return with("State and Result unknown", s => { s.State = "Hiber\0nating"; s.Result = "Odd\u0001"; });
    yield return with("State and Result with blanks", s => { s.State = " Stopped\r\n"; s.Result = "\tFailed "; });
    yield return with("identifiers with blanks", s => { s.UID = " " + s.UID + "\n"; s.JobUid = "\t" + s.JobUid + " "; });
    yield return with("no links", s => s.Links = new List<Link>());
    yield return with("Links null", s => s.Links = null);
    yield return with("all but the identity null", s => {
      s.Links = null;
      s.JobUid = s.JobName = s.JobType = s.State = s.Result = s.FailureMessage = s.New = null;
      s.CreationTimeUTC = s.EndTimeUTC = null;
      s.Progress = null;
      s.IsRetry = null;
    });
  }

  static List<Link> Links(string text) {
    var server = "http://em/api/backupServers/11111111-1111-4111-8111-111111111111";
    return new List<Link> {
      new Link { Href = server, Name = text, Type = "BackupServerReference", Rel = "Up" },
      new Link { Href = "http://em/api/x?a=" + text, Name = text, Type = text, Rel = "Related" },
      new Link { Rel = "Down", Href = "http://em/api/y" },
    };
  }

  static ReplicaJobSession Session(string text) {
    var id = NextId();
    return new ReplicaJobSession {
      UID = "urn:veeam:ReplicaJobSession:" + id, Type = "ReplicaJobSession", Name = text, Href = "http://em/" + text,
      Links = Links(text), JobUid = "urn:veeam:Job:" + id, JobName = text, JobType = "Replica",
      CreationTimeUTC = Begin, EndTimeUTC = Begin.AddTicks(123456789), EndTimeUTCSpecified = true,
      State = "Stopped", Result = "Failed", Progress = 100, IsRetry = false, FailureMessage = text, New = text,
    };
  }

  static EntityRef Reference(string text) {
    return new EntityRef {
      UID = "urn:veeam:ReplicaJobSession:" + NextId(), Type = "ReplicaJobSessionReference", Name = text,
      Href = "http://em/" + text, Links = Links(text),
    };
  }

  static ReplicaJobSession Timed(DateTime time) {
    var session = Session("a");
    session.CreationTimeUTC = session.EndTimeUTC = time;
    return session;
  }

  static ReplicaTaskSessions Tasks(List<KeyValuePair<string, string>> texts) {
    var tasks = new ReplicaTaskSessions();
    foreach (var text in texts)
      tasks.Items.Add(new ReplicaTaskSession {
        UID = "urn:veeam:ReplicaTaskSession:" + NextId(), Type = "ReplicaTaskSession", Name = text.Value,
        Href = "http://em/" + text.Value, Links = Links(text.Value), VmDisplayName = text.Value,
        VmUid = "urn:veeam:Vm:1", CreationTimeUTC = Begin, EndTimeUTC = Begin.AddTicks(1),
        State = "Completed", Result = "Failed", Reason = text.Value, TotalSize = 17179869184 + tasks.Items.Count,
      });
    return tasks;
  }

  static ReplicaTaskSessions NullTasks() {
    var texts = new List<KeyValuePair<string, string>> { Text("1", null), Text("2", "a"), Text("3", "a") };
    var tasks = Tasks(texts);
    var first = tasks.Items[0];
    first.VmUid = first.State = first.Result = null;
    first.CreationTimeUTC = first.EndTimeUTC = null;
    first.TotalSize = null;
    tasks.Items[1].TotalSize = long.MaxValue;
    tasks.Items[1].State = "InProgress";
    tasks.Items[1].Result = "Success";
    tasks.Items[2].TotalSize = long.MinValue;
    return tasks;
  }

  static QueryResult Page(List<KeyValuePair<string, string>> texts) {
    var sessions = texts.Select(text => Session(text.Value)).ToList();
    for (var i = 0; i < sessions.Count; i++) sessions[i].CreationTimeUTC = Begin.AddSeconds(-i);
    return new QueryResult { Entities = new Entities { ReplicaJobSessions = sessions }, PagingInfo = new PagingInfo() };
  }

  static Error Error(string message, int status) {
    return new Error { Message = message, StatusCode = status, FirstChanceExceptionMessage = message };
  }
}
