// Enterprise Manager's address space over HttpListener. Ends when its standard input does.
using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;
using System.Threading;

public static class Server {
  const string Account = "TECH\\gateway:p\u00E4ss:w\u00F6rd";

  static readonly object mutex = new object();
  static Dictionary<Guid, Case> cases;
  static readonly List<string> deleted = new List<string>();
  static string token, logonSession, logonWriter = "XmlDictionaryWriter";

  public static void Main() {
    cases = Cases.All().ToDictionary(each => each.Id);
    ThreadPool.SetMinThreads(16, 16);
    var listener = Listen();
    new Thread(() => {
      while (true) {
        HttpListenerContext context = listener.GetContext();
        ThreadPool.QueueUserWorkItem(_ => Handle(context));
      }
    }) { IsBackground = true }.Start();
    Console.In.ReadToEnd();
    Environment.Exit(0);
  }

  // HttpListener cannot choose a free port itself.
  static HttpListener Listen() {
    for (var tries = 0; ; tries++) {
      var probe = new TcpListener(IPAddress.Loopback, 0);
      probe.Start();
      var port = ((IPEndPoint)probe.LocalEndpoint).Port;
      probe.Stop();
      var listener = new HttpListener();
      listener.Prefixes.Add("http://127.0.0.1:" + port + "/");
      try {
        listener.Start();
      } catch (Exception) when (tries < 10) {
        continue;
      }
      Console.WriteLine(port);
      Console.Out.Flush();
      return listener;
    }
  }

  static void Handle(HttpListenerContext context) {
    try {
      Answer(context.Request, context.Response);
    } catch (Exception exception) {
      Console.Error.WriteLine(exception);
      context.Response.Abort();
    }
  }

  static void Answer(HttpListenerRequest request, HttpListenerResponse response) {
    var path = request.Url.AbsolutePath;
    if (path == "/cases") {
      var json = new StringBuilder();
      lock (mutex) Json.Append(json, cases.Values.Select(Expected).ToList());
      Send(response, 200, Encoding.ASCII.GetBytes(json.ToString()), "application/json");
    } else if (path == "/asked") {
      var json = new StringBuilder();
      lock (mutex) {
        var asked = cases.Values.Select(each => new { each.Id, each.Asked }).ToList();
        Json.Append(json, new { Cases = asked, Deleted = deleted, LogonSession = logonSession });
      }
      Send(response, 200, Encoding.ASCII.GetBytes(json.ToString()), "application/json");
    } else if (path == "/api/sessionMngr/" && request.HttpMethod == "POST") {
      Logon(request, response);
    } else {
      string valid;
      lock (mutex) valid = token;
      if (request.Headers["X-RestSvcSessionId"] != valid) {
        SendError(response, 401, "Unauthorized");
      } else if (path.StartsWith("/api/logonSessions/") && request.HttpMethod == "DELETE") {
        lock (mutex) deleted.Add(path.Substring("/api/logonSessions/".Length));
        response.StatusCode = 204;
        response.Close();
      } else {
        Read(path, request, response);
      }
    }
  }

  // What is written, and what .NET itself reads of it.
  static object Expected(Case each) {
    var read = each.Document == null ? null : Writers.Read(each.Document.GetType(), each.Written.Body);
    return new {
      each.Id, each.Kind, each.Writer, each.Value, each.Status, each.Broken, each.Document, each.Written, Read = read,
    };
  }

  static void Logon(HttpListenerRequest request, HttpListenerResponse response) {
    var account = Encoding.UTF8.GetBytes(Account);
    if (request.Headers["Authorization"] != "Basic " + Convert.ToBase64String(account)) {
      response.AddHeader("WWW-Authenticate", "Basic Realm=RestSvc");
      SendError(response, 401, "Unauthorized");
      return;
    }
    var id = Guid.NewGuid().ToString();
    string writer;
    lock (mutex) {
      logonSession = id;
      token = Convert.ToBase64String(Encoding.ASCII.GetBytes(id));
      writer = logonWriter;
      response.AddHeader("X-RestSvcSessionId", token);
      response.AddHeader("Set-Cookie", "X-RestSvcSessionId=" + token + "; Path=/api;");
    }
    var href = "http://em/api/logonSessions/" + id;
    var document = new LogonSession {
      Type = "LogonSession", Href = href, SessionId = id, UserName = "TECH\\gate\0way\U0001F600",
      Links = new List<Link> { new Link { Href = href, Type = "LogonSession", Rel = "Delete" } },
    };
    Send(response, 201, Writers.Write(writer, document).Body);
  }

  static void Read(string path, HttpListenerRequest request, HttpListenerResponse response) {
    var query = Uri.UnescapeDataString(request.Url.Query.Replace('+', ' '));
    var match = path == "/api/query"
      ? Regex.Match(query, "(?:JobUid==\"urn:veeam:Job:|JobSessionUid==\"urn:veeam:ReplicaJobSession:)([0-9a-f-]{36})\"")
      : Regex.Match(path, "^/api/replicaSessions/([0-9a-f-]{36})(/replicaTaskSessions)?$");
    Case asked;
    int times;
    lock (mutex) {
      if (!match.Success || !cases.TryGetValue(new Guid(match.Groups[1].Value), out asked)) {
        asked = null;
        times = 0;
      } else {
        times = ++asked.Asked;
        // The token becomes invalid, and the next logon is answered by this writer.
        if (asked.Kind == "logon" && times == 1) {
          token = null;
          logonWriter = asked.Writer;
        }
      }
    }
    if (asked == null) {
      SendError(response, 404, "no such case: " + path + query);
      return;
    }
    if (asked.Kind == "logon" && times == 1) {
      SendError(response, 401, "Unauthorized");
      return;
    }
    var written = asked.Written;
    if (path == "/api/query") written = Writers.Write(asked.Writer, Page(asked, query));
    var body = written.Body;
    if (times <= asked.Broken) {
      response.SendChunked = true;
      response.ContentType = "application/xml; charset=utf-8";
      if (asked.After > 0) response.OutputStream.Write(body, 0, (int)(body.Length * asked.After));
      response.Abort();
    } else if (written.Threw != null) {
      // What the writer has given to the stream before it threw has been sent. Then the handler gives up.
      response.StatusCode = asked.Status;
      response.SendChunked = true;
      response.ContentType = "application/xml; charset=utf-8";
      response.OutputStream.Write(body, 0, body.Length);
      response.Abort();
    } else {
      // As EM does it, and as HttpListener does it of itself.
      response.SendChunked = asked.Id.GetHashCode() % 2 == 0;
      Send(response, asked.Status, body);
    }
  }

  // The page that the query asks for.
  static QueryResult Page(Case asked, string query) {
    var result = asked.Document as QueryResult;
    var sessions = result == null ? new List<ReplicaJobSession>() : result.Entities.ReplicaJobSessions;
    foreach (Match bound in Regex.Matches(query, "CreationTime(<|>=)\"([^\"]+)\"")) {
      var time = DateTime.Parse(bound.Groups[2].Value, CultureInfo.InvariantCulture, DateTimeStyles.AdjustToUniversal);
      var before = bound.Groups[1].Value == "<";
      sessions = sessions.Where(session => before == session.CreationTimeUTC < time).ToList();
    }
    var size = int.Parse(Regex.Match(query, "pageSize=(\\d+)").Groups[1].Value);
    var number = int.Parse(Regex.Match(query, "[?&]page=(\\d+)").Groups[1].Value);
    var count = Math.Max(1, (sessions.Count + size - 1) / size);
    var links = new List<Link> { new Link { Rel = "First", Href = "http://em/api/query?page=1" } };
    if (number < count) links.Add(new Link { Rel = "Next", Href = "http://em/api/query?page=" + (number + 1) });
    return new QueryResult {
      Entities = new Entities { ReplicaJobSessions = sessions.Skip((number - 1) * size).Take(size).ToList() },
      PagingInfo = new PagingInfo { PageNum = number, PageSize = size, PagesCount = count, Links = links },
    };
  }

  static void SendError(HttpListenerResponse response, int status, string message) {
    var error = new Error { Message = message, StatusCode = status };
    Send(response, status, Writers.Write("XmlDictionaryWriter", error).Body);
  }

  static void Send(HttpListenerResponse response, int status, byte[] body, string type = "application/xml; charset=utf-8") {
    response.StatusCode = status;
    response.ContentType = type;
    if (!response.SendChunked) response.ContentLength64 = body.Length;
    response.OutputStream.Write(body, 0, body.Length);
    response.Close();
  }
}
