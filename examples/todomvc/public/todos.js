/* global Backbone, _, $ */
(() => {
  'use strict';
  const ENTER = 13;
  const ESCAPE = 27;

  const Todo = Backbone.Model.extend({
    idAttribute: '_id',
    defaults: { title: '', completed: false, order: 0 },
    toggle() { this.save({ completed: !this.get('completed') }, { patch: true }); },
  });

  const Todos = Backbone.Collection.extend({
    model: Todo,
    url: '/v1',
    comparator: 'order',
    completed() { return this.where({ completed: true }); },
    remaining() { return this.where({ completed: false }); },
    nextOrder() { return this.length ? this.last().get('order') + 1 : 1; },
  });

  const TodoView = Backbone.View.extend({
    tagName: 'li',
    template: _.template($('#item-template').html()),
    events: {
      'click .toggle': 'toggle', 'dblclick label': 'edit', 'click .destroy': 'clear', 'keydown .edit': 'key', 'blur .edit': 'close',
    },
    initialize() {
      this.listenTo(this.model, 'change', this.render);
      this.listenTo(this.model, 'destroy', this.remove);
    },
    render() {
      this.$el.html(this.template(this.model.toJSON())).toggleClass('completed', this.model.get('completed'));
      return this;
    },
    toggle() { this.model.toggle(); },
    edit() { this.$el.addClass('editing'); this.$('.edit').trigger('focus'); },
    key(event) {
      if (event.which === ENTER) this.close();
      if (event.which === ESCAPE) { this.$el.removeClass('editing'); this.$('.edit').val(this.model.get('title')); }
    },
    close() {
      if (!this.$el.hasClass('editing')) return;
      this.$el.removeClass('editing');
      const title = this.$('.edit').val().trim();
      if (title) this.model.save({ title }, { patch: true });
      else this.clear();
    },
    clear() { this.model.destroy(); },
  });

  const AppView = Backbone.View.extend({
    el: '#todoapp',
    stats: _.template($('#stats-template').html()),
    events: { 'keypress #new-todo': 'create', 'click .clear-completed': 'clearCompleted', 'click .toggle-all': 'toggleAll' },
    initialize() {
      this.filter = '';
      this.todos = new Todos();
      this.listenTo(this.todos, 'reset sort update change', this.render);
      this.listenTo(this.todos, 'error', () => $('#trouble').text('The database is away just now: try again in a moment.'));
      this.listenTo(this.todos, 'sync', () => $('#trouble').text(''));
      this.todos.fetch({ reset: true, success: () => $('body').attr('data-loaded', 'true') });
    },
    render() {
      const shown = this.filter === 'active' ? this.todos.remaining() : this.filter === 'completed' ? this.todos.completed() : this.todos.models;
      this.$('.todo-list').empty().append(shown.map((model) => new TodoView({ model }).render().el));
      this.$('.main, .footer').prop('hidden', this.todos.length === 0);
      const remaining = this.todos.remaining().length;
      this.$('.footer').html(this.stats({ remaining, completed: this.todos.completed().length, filter: this.filter }));
      this.$('.toggle-all').prop('checked', remaining === 0);
    },
    create(event) {
      const title = $('#new-todo').val().trim();
      if (event.which !== ENTER || !title) return;
      this.todos.create({ title, order: this.todos.nextOrder() }, { wait: true });
      $('#new-todo').val('');
    },
    clearCompleted() { _.invoke(this.todos.completed(), 'destroy'); },
    toggleAll() {
      const completed = this.$('.toggle-all').prop('checked');
      this.todos.each((todo) => todo.save({ completed }, { patch: true }));
    },
  });

  const app = new AppView();
  const Routes = Backbone.Router.extend({ routes: { '*filter': (filter) => { app.filter = filter ?? ''; app.render(); } } });
  new Routes();
  Backbone.history.start();
})();
