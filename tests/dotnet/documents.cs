// Enterprise Manager's documents, as classes that XmlSerializer writes.
using System;
using System.Collections.Generic;
using System.Xml.Serialization;

public static class EM {
  public const string Namespace = "http://www.veeam.com/ent/v1.0";
}

[XmlType(Namespace = EM.Namespace)]
public class Link {
  [XmlAttribute] public string Href, Name, Type, Rel;
}

[XmlType(Namespace = EM.Namespace)]
public class Resource {
  [XmlAttribute] public string Href, Type, Name, UID;
  public List<Link> Links { get; set; }
}

[XmlType(Namespace = EM.Namespace), XmlRoot(Namespace = EM.Namespace)]
public class EntityRef : Resource { }

[XmlType(Namespace = EM.Namespace), XmlRoot(Namespace = EM.Namespace)]
public class ReplicaJobSession : Resource {
  string state;

  public string JobUid { get; set; }
  public string JobName { get; set; }
  public string JobType { get; set; }
  public DateTime? CreationTimeUTC { get; set; }
  public DateTime? EndTimeUTC { get; set; }
  // XmlSerializer's own convention: the element is left out if this is false, and nil if it is null.
  [XmlIgnore] public bool EndTimeUTCSpecified { get; set; }
  public string State {
    get {
      if (Fails) throw new NullReferenceException("the row has no state");
      return state;
    }
    set { state = value; }
  }
  public string Result { get; set; }
  public int? Progress { get; set; }
  public string FailureMessage { get; set; }
  public bool? IsRetry { get; set; }
  // An element of a later release, which the gateway does not know.
  public string New { get; set; }

  // Whether reading this object fails half way, as when a property is loaded from a database.
  [XmlIgnore] public bool Fails { get; set; }
}

[XmlType(Namespace = EM.Namespace)]
public class ReplicaTaskSession : Resource {
  [XmlAttribute] public string VmDisplayName;
  public string JobSessionUid { get; set; }
  public string VmUid { get; set; }
  public DateTime? CreationTimeUTC { get; set; }
  public DateTime? EndTimeUTC { get; set; }
  public string State {
    get {
      if (Fails) throw new NullReferenceException("the row has no state");
      return state;
    }
    set { state = value; }
  }
  string state;
  public string Result { get; set; }
  public string Reason { get; set; }
  public long? TotalSize { get; set; }
  [XmlIgnore] public bool Fails { get; set; }
}

[XmlType(Namespace = EM.Namespace), XmlRoot(Namespace = EM.Namespace)]
public class ReplicaTaskSessions {
  [XmlElement("ReplicaTaskSession")] public List<ReplicaTaskSession> Items = new List<ReplicaTaskSession>();
}

[XmlType(Namespace = EM.Namespace)]
public class Entities {
  public List<ReplicaJobSession> ReplicaJobSessions { get; set; }
  public List<ReplicaTaskSession> ReplicaTaskSessions { get; set; }
}

[XmlType(Namespace = EM.Namespace)]
public class PagingInfo {
  [XmlAttribute] public int PageNum, PageSize, PagesCount;
  public List<Link> Links { get; set; }
}

[XmlType(Namespace = EM.Namespace), XmlRoot(Namespace = EM.Namespace)]
public class QueryResult {
  public Entities Entities { get; set; }
  public PagingInfo PagingInfo { get; set; }
}

[XmlType(Namespace = EM.Namespace), XmlRoot(Namespace = EM.Namespace)]
public class LogonSession : Resource {
  public string UserName { get; set; }
  public string SessionId { get; set; }
}

[XmlType(Namespace = EM.Namespace), XmlRoot(Namespace = EM.Namespace)]
public class Error {
  [XmlAttribute] public string Message;
  [XmlAttribute] public int StatusCode;
  public string FirstChanceExceptionMessage { get; set; }
}

// What WCF answers when a service does not handle an exception.
public static class Wcf {
  public const string Namespace = "http://schemas.microsoft.com/ws/2005/05/envelope/none";
}

[XmlType(Namespace = Wcf.Namespace)]
public class Code {
  public string Value { get; set; }
}

[XmlType(Namespace = Wcf.Namespace)]
public class Reason {
  public string Text { get; set; }
}

[XmlType(Namespace = Wcf.Namespace), XmlRoot(Namespace = Wcf.Namespace)]
public class Fault {
  public Code Code { get; set; }
  public Reason Reason { get; set; }
}
