package everhold.interop;

import com.arjuna.ats.arjuna.common.CoreEnvironmentBean;
import com.arjuna.ats.arjuna.common.ObjectStoreEnvironmentBean;
import com.arjuna.ats.arjuna.common.RecoveryEnvironmentBean;
import com.arjuna.ats.arjuna.recovery.RecoveryManager;
import com.arjuna.ats.internal.arjuna.recovery.AtomicActionRecoveryModule;
import com.arjuna.ats.internal.jta.recovery.arjunacore.JTANodeNameXAResourceOrphanFilter;
import com.arjuna.ats.internal.jta.recovery.arjunacore.JTATransactionLogXAResourceOrphanFilter;
import com.arjuna.ats.internal.jta.recovery.arjunacore.XARecoveryModule;
import com.arjuna.ats.jta.common.JTAEnvironmentBean;
import com.arjuna.ats.jta.recovery.XAResourceRecoveryHelper;
import com.arjuna.common.internal.util.propertyservice.BeanPopulator;
import jakarta.jms.JMSException;
import jakarta.jms.MessageConsumer;
import jakarta.jms.Queue;
import jakarta.jms.Session;
import jakarta.jms.TextMessage;
import jakarta.jms.XAConnection;
import jakarta.jms.XASession;
import jakarta.transaction.RollbackException;
import jakarta.transaction.TransactionManager;
import java.nio.file.Files;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import javax.sql.XADataSource;
import javax.transaction.xa.XAException;
import javax.transaction.xa.XAResource;
import javax.transaction.xa.Xid;
import org.apache.activemq.artemis.jms.client.ActiveMQXAConnectionFactory;
import org.h2.jdbcx.JdbcDataSource;

/**
 * A real transaction manager (Narayana) over the broker and a database (H2): both have a message's work, or
 * neither has, also when the broker is killed between the two phases.
 */
final class TransactionManagers {
  private static final String NODE = "interop";

  private TransactionManagers() {}

  public static void main(String[] args) throws Exception {
    configure();
    new Cases(args)
        .add("a message and a row are committed together", scene -> sendAndInsert(scene, true))
        .add("a message and a row are rolled back together", scene -> sendAndInsert(scene, false))
        .add("a message that was received comes again when its row is rolled back", TransactionManagers::receive)
        .add("a branch is rolled back when another resource does not prepare", TransactionManagers::refused)
        .add("messages go from queue to queue, one commit each", TransactionManagers::transfer)
        .addWith("restarts", "the manager completes what a kill between the phases interrupted", scene -> killed(scene, true))
        .addWith("restarts", "the manager rolls back what a kill in the first phase interrupted", scene -> killed(scene, false))
        .run();
  }

  /** One node, its log in a folder of its own, recovery only when a case asks for it. */
  private static void configure() throws Exception {
    String folder = Files.createTempDirectory("narayana").toString();
    BeanPopulator.getDefaultInstance(CoreEnvironmentBean.class).setNodeIdentifier(NODE);
    for (String name : new String[] {null, "communicationStore", "stateStore"}) {
      ObjectStoreEnvironmentBean store =
          name == null
              ? BeanPopulator.getDefaultInstance(ObjectStoreEnvironmentBean.class)
              : BeanPopulator.getNamedInstance(ObjectStoreEnvironmentBean.class, name);
      store.setObjectStoreDir(folder);
    }
    RecoveryEnvironmentBean recovery = BeanPopulator.getDefaultInstance(RecoveryEnvironmentBean.class);
    recovery.setRecoveryBackoffPeriod(1);
    recovery.setRecoveryModuleClassNames(
        List.of(AtomicActionRecoveryModule.class.getName(), XARecoveryModule.class.getName()));
    JTAEnvironmentBean jta = BeanPopulator.getDefaultInstance(JTAEnvironmentBean.class);
    jta.setXaRecoveryNodes(List.of(NODE));
    jta.setOrphanSafetyInterval(1);
    jta.setXaResourceOrphanFilterClassNames(
        List.of(
            JTATransactionLogXAResourceOrphanFilter.class.getName(),
            JTANodeNameXAResourceOrphanFilter.class.getName()));
    RecoveryManager.manager(RecoveryManager.DIRECT_MANAGEMENT).initialize();
  }

  private static TransactionManager manager() {
    return com.arjuna.ats.jta.TransactionManager.transactionManager();
  }

  private static void sendAndInsert(Scene scene, boolean isCommit) throws Exception {
    try (Both both = new Both(scene)) {
      manager().begin();
      both.enlist();
      both.send("order");
      both.insert("order");
      if (isCommit) manager().commit();
      else manager().rollback();
      Check.equal(isCommit ? 1 : 0, both.rows(), "rows");
      Check.equal(isCommit ? List.of("order") : List.of(), both.messages(), "messages");
    }
  }

  private static void receive(Scene scene) throws Exception {
    try (Both both = new Both(scene)) {
      Session plain = scene.session();
      plain.createProducer(both.queue).send(plain.createTextMessage("order"));
      manager().begin();
      both.enlist();
      try (MessageConsumer consumer = both.session.createConsumer(both.queue)) {
        both.insert(Scene.receiveText(consumer));
        both.delist();
        manager().rollback();
      }
      Check.equal(0, both.rows(), "rows");
      manager().begin();
      both.enlist();
      try (MessageConsumer consumer = both.session.createConsumer(both.queue)) {
        TextMessage again = (TextMessage) Scene.receive(consumer);
        Check.equal(true, again.getJMSRedelivered(), "whether it is marked");
        both.insert(again.getText());
        both.delist();
        manager().commit();
      }
      Check.equal(1, both.rows(), "rows");
      Check.equal(List.of(), both.messages(), "messages");
    }
  }

  private static void refused(Scene scene) throws Exception {
    try (Both both = new Both(scene)) {
      manager().begin();
      both.enlist();
      manager().getTransaction().enlistResource(new Bystander(() -> {
        throw new XAException(XAException.XA_RBROLLBACK);
      }, () -> {}));
      both.send("order");
      both.insert("order");
      Check.fails(RollbackException.class, "the commit", () -> manager().commit());
      Check.equal(0, both.rows(), "rows");
      Check.equal(List.of(), both.messages(), "messages");
    }
  }

  private static void transfer(Scene scene) throws Exception {
    int count = 50;
    try (Both both = new Both(scene)) {
      Session plain = scene.session();
      Queue from = scene.queue(plain, "from");
      Scene.sendNumbers(plain, from, 0, count);
      try (MessageConsumer consumer = both.session.createConsumer(from)) {
        for (int number = 0; number < count; number += 1) {
          manager().begin();
          both.enlist();
          String text = Scene.receiveText(consumer);
          both.send(text);
          both.insert(text);
          if (number % 5 == 4) {
            manager().rollback();
            number -= 1;
            manager().begin();
            both.enlist();
            Check.equal(text, Scene.receiveText(consumer), "what comes again");
            both.send(text);
            both.insert(text);
            number += 1;
          }
          manager().commit();
        }
      }
      Check.equal(count, both.rows(), "rows");
      Check.equal(count, both.messages().size(), "messages");
    }
  }

  /** The broker dies when everybody has prepared, or when only it has, and comes back. */
  private static void killed(Scene scene, boolean isDecided) throws Exception {
    try (Both both = new Both(scene)) {
      Bystander.Step kill = () -> BrokerStops.end(scene, "kill");
      Bystander.Step refuse =
          () -> {
            BrokerStops.end(scene, "kill");
            throw new XAException(XAException.XA_RBROLLBACK);
          };
      manager().begin();
      Bystander bystander = isDecided ? new Bystander(() -> {}, kill) : new Bystander(refuse, () -> {});
      if (isDecided) manager().getTransaction().enlistResource(bystander);
      both.enlist();
      if (!isDecided) manager().getTransaction().enlistResource(bystander);
      both.send("order");
      both.insert("order");
      try {
        manager().commit();
        Check.that(isDecided, "the commit succeeds though a resource did not prepare");
      } catch (RollbackException error) {
        Check.that(!isDecided, "the commit is rolled back though everybody had prepared");
      }
      BrokerStops.start(scene);
      both.recover();
      Check.equal(isDecided ? 1 : 0, both.rows(), "rows");
      Check.equal(isDecided ? List.of("order") : List.of(), both.messages(), "messages");
      Check.equal(0, both.inDoubt(), "branches that are in doubt");
    }
  }

  /** A queue and a table, each with a resource. */
  private static final class Both implements AutoCloseable {
    final Queue queue;
    XASession session;
    private final Scene scene;
    private final ActiveMQXAConnectionFactory factory;
    private XAConnection jms;
    private final javax.sql.XAConnection database;
    private final Connection sql;
    private final JdbcDataSource source = new JdbcDataSource();

    Both(Scene scene) throws Exception {
      this.scene = scene;
      factory = new ActiveMQXAConnectionFactory(scene.url() + "?reconnectAttempts=0&callTimeout=20000");
      connect();
      queue = session.createQueue(scene.name("both"));
      source.setURL("jdbc:h2:mem:" + scene.name("db") + ";DB_CLOSE_DELAY=-1");
      database = ((XADataSource) source).getXAConnection();
      sql = database.getConnection();
      try (Connection plain = source.getConnection(); Statement statement = plain.createStatement()) {
        statement.execute("create table orders(name varchar(100))");
      }
    }

    private void connect() throws JMSException {
      jms = factory.createXAConnection();
      jms.start();
      session = jms.createXASession();
    }

    void enlist() throws Exception {
      manager().getTransaction().enlistResource(session.getXAResource());
      manager().getTransaction().enlistResource(database.getXAResource());
    }

    /** As containers do it before the transaction ends. */
    void delist() throws Exception {
      manager().getTransaction().delistResource(session.getXAResource(), XAResource.TMSUCCESS);
    }

    void send(String text) throws JMSException {
      try (var producer = session.createProducer(queue)) {
        producer.send(session.createTextMessage(text));
      }
    }

    void insert(String text) throws SQLException {
      try (var statement = sql.prepareStatement("insert into orders values (?)")) {
        statement.setString(1, text);
        statement.executeUpdate();
      }
    }

    int rows() throws SQLException {
      try (Connection plain = source.getConnection();
          Statement statement = plain.createStatement();
          ResultSet result = statement.executeQuery("select count(*) from orders")) {
        result.next();
        return result.getInt(1);
      }
    }

    /** Takes the messages that are there. */
    List<String> messages() throws JMSException {
      List<String> texts = new ArrayList<>();
      Session plain = scene.session();
      try (MessageConsumer consumer = plain.createConsumer(queue)) {
        for (var message = Branches.next(consumer); message != null; message = Branches.next(consumer)) {
          texts.add(((TextMessage) message).getText());
        }
      }
      return texts;
    }

    /** Has the manager find out what is left to do. */
    void recover() throws Exception {
      jms.close();
      connect();
      XAResource[] resources = {session.getXAResource()};
      XAResourceRecoveryHelper helper =
          new XAResourceRecoveryHelper() {
            @Override
            public boolean initialise(String text) {
              return true;
            }

            @Override
            public XAResource[] getXAResources() {
              return resources;
            }
          };
      XARecoveryModule module = XARecoveryModule.getRegisteredXARecoveryModule();
      module.addXAResourceRecoveryHelper(helper);
      // What nobody knows is rolled back in the second scan that finds it.
      for (int scan = 0; scan < 3; scan += 1) RecoveryManager.manager().scan();
      module.removeXAResourceRecoveryHelper(helper);
    }

    int inDoubt() throws XAException {
      return session.getXAResource().recover(XAResource.TMSTARTRSCAN | XAResource.TMENDRSCAN).length;
    }

    @Override
    public void close() throws SQLException {
      try {
        jms.close();
      } catch (JMSException error) {
        // The broker may have been killed under it.
      }
      factory.close();
      database.close();
    }
  }

  /** A resource without work that does something when it is asked to prepare, and to commit. */
  private static final class Bystander implements XAResource {
    interface Step {
      void run() throws Exception;
    }

    private final Step onPrepare;
    private final Step onCommit;

    Bystander(Step onPrepare, Step onCommit) {
      this.onPrepare = onPrepare;
      this.onCommit = onCommit;
    }

    @Override
    public int prepare(Xid xid) throws XAException {
      run(onPrepare);
      return XA_OK;
    }

    @Override
    public void commit(Xid xid, boolean onePhase) throws XAException {
      run(onCommit);
    }

    private static void run(Step step) throws XAException {
      try {
        step.run();
      } catch (XAException error) {
        throw error;
      } catch (Exception error) {
        throw new IllegalStateException(error);
      }
    }

    @Override
    public void start(Xid xid, int flags) {}

    @Override
    public void end(Xid xid, int flags) {}

    @Override
    public void rollback(Xid xid) {}

    @Override
    public void forget(Xid xid) {}

    @Override
    public Xid[] recover(int flag) {
      return new Xid[0];
    }

    @Override
    public boolean isSameRM(XAResource other) {
      return other == this;
    }

    @Override
    public int getTransactionTimeout() {
      return 0;
    }

    @Override
    public boolean setTransactionTimeout(int seconds) {
      return false;
    }
  }
}
